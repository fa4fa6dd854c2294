"""Rows of tokenised examples and a model's logits for them."""

import keras
import numpy as np

from hierbert_tf.downstream.batches import ExampleBatches
from hierbert_tf.finetuning.task import CHUNK, row_logits, tokenised_rows


def batches(count: int) -> ExampleBatches:
    lengths = np.random.default_rng(1).integers(1, 13, count)
    mask = (np.arange(12) < lengths[:, None]).astype("int8")
    return ExampleBatches(
        {"token_ids": mask * np.arange(count, dtype="int32")[:, None], "padding_mask": mask},
        {"label": np.zeros(count)}, seed=0, batch_size=4, length_multiple=4,
    )  # fmt: skip


def test_logits_come_back_in_the_order_of_the_rows():
    ids = keras.Input([None], dtype="int32", name="token_ids")
    mask = keras.Input([None], dtype="int32", name="padding_mask")
    highest = keras.ops.max(keras.ops.cast(ids, "float32"), axis=1)
    output = keras.ops.stack([highest, -highest], axis=1)
    model = keras.Model({"token_ids": ids, "padding_mask": mask}, output)
    logits = row_logits(model, batches(11))
    assert logits.tolist() == [[float(n), -float(n)] for n in range(11)]


def test_rows_of_all_chunks_are_joined():
    def tokenise(chunk):
        numbers = np.array(chunk, "int32")
        return {"token_ids": numbers[:, None], "padding_mask": np.ones([len(chunk), 1], "int32")}

    rows = tokenised_rows(range(2 * CHUNK + 7), tokenise)
    assert rows["token_ids"][:, 0].tolist() == list(range(2 * CHUNK + 7))
    assert rows["padding_mask"].dtype == np.int8

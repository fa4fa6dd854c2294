"""The most probable tokens where a text has [MASK].

Dimension letters: B batch, T sequence, M masks, K tokens for each, V vocabulary.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hierbert_tf.corpus.vocabulary import MASK
from hierbert_tf.data.features import PADDING_MASK, SEGMENT_IDS, TOKEN_IDS
from hierbert_tf.errors import InputError
from hierbert_tf.models.pretrainer import HierarchicalBertPretrainer
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from hierbert_tf.serving.chunks import LENGTH_MULTIPLE, run_in_chunks
from hierbert_tf.serving.embed import TEXT
from hierbert_tf.serving.endpoint import (
    Endpoint,
    ModelEndpoint,
    feature_inputs,
    feature_requests,
    features_of,
    in_order,
    text_inputs,
    text_requests,
)
from hierbert_tf.tasks import build_tasks
from hierbert_tf.tasks.masked_lm import MaskedLM

MASKED_POSITIONS = "masked_positions"
TOKEN, TOKEN_ID, PROBABILITY = "token", "token_id", "probability"


class FillMaskIds(ModelEndpoint):
    """Features and positions to the most probable tokens there.

    Inputs: `token_ids`, `segment_ids`, `padding_mask` int32 [B, T]; `masked_positions` int32 [B,
    M], 0 where a row has fewer. Outputs [B, M, K], most probable first: `token` string, `token_id`
    int32, `probability` float32; `""`, [PAD] and 0 where there is no position.

    Args:
        pretrainer: the pre-trained model.
        tokenizer: its tokenizer.
        top_k: K.

    Raises:
        InputError: the model has no masked LM, or K is not from 1 to V.
    """

    name = "fill_mask_ids"

    def __init__(
        self,
        pretrainer: HierarchicalBertPretrainer,
        tokenizer: HierarchicalBertTokenizer,
        top_k: int,
    ) -> None:
        task = masked_lm_task(pretrainer)
        if task is None:
            raise InputError("the model was not pre-trained with masked_lm, so it fills no masks")
        if not 1 <= top_k <= tokenizer.vocabulary_size():
            raise InputError(
                f"top_k is {top_k}; give 1 to the {tokenizer.vocabulary_size()} entries of the "
                "vocabulary"
            )
        self.inputs = (
            *feature_inputs(),
            tf.TensorSpec([None, None], tf.int32, name=MASKED_POSITIONS),
        )
        self.top_k = top_k
        self._tokens = tf.constant(tokenizer.get_vocabulary())
        self._pad_id = tokenizer.pad_token_id
        self._positions = task.positions
        inputs = dict(pretrainer.backbone.input) | {
            task.positions: pretrainer.input[task.positions]
        }
        # The other tasks' heads are no part of it; what masked LM receives of them is.
        self._model = keras.Model(inputs, pretrainer.output[task.name])
        self._run = tf.function(self._in_chunks, autograph=False, reduce_retracing=True)

    def __call__(self, *tensors: Any) -> dict[str, tf.Tensor]:
        """Fills positions."""
        *features, positions = tensors
        positions = tf.convert_to_tensor(positions, tf.int32)
        found = self._run(features_of(features) | {MASKED_POSITIONS: positions})
        is_mask = (positions > 0)[:, :, tf.newaxis]  # [B, M, 1]
        return {
            TOKEN: tf.where(is_mask, tf.gather(self._tokens, found[TOKEN_ID]), ""),
            TOKEN_ID: tf.where(is_mask, found[TOKEN_ID], self._pad_id),
            PROBABILITY: tf.where(is_mask, found[PROBABILITY], 0.0),
        }

    def _in_chunks(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        masks = tf.shape(features[MASKED_POSITIONS])[1]

        def best(some: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            positions = some.pop(MASKED_POSITIONS)
            logits = self.run(some | {self._positions: positions})
            probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
            values, ids = tf.math.top_k(probabilities, self.top_k)
            # A chunk of short rows has room for fewer masks than the batch.
            behind = [[0, 0], [0, masks - tf.shape(positions)[1]], [0, 0]]
            return {PROBABILITY: tf.pad(values, behind), TOKEN_ID: tf.pad(ids, behind)}

        shape = [masks, self.top_k]
        outputs = {PROBABILITY: (tf.float32, shape), TOKEN_ID: (tf.int32, shape)}
        return run_in_chunks(best, features, outputs)

    def requests(self) -> list[dict[str, np.ndarray]]:
        """Small batches with one mask a row."""
        return feature_requests(**{MASKED_POSITIONS: 1})


class FillMask(Endpoint):
    """`text` string [B] with `[MASK]`s to the outputs of `FillMaskIds`.

    M is the number of the masks of the text that has most of them. Masks behind the encoder's last
    position are as if they were not there.

    Args:
        fill_mask_ids: the model's part.
        tokenizer: the encoder's.
        sequence_length: texts are cut to so many tokens, [CLS] and [SEP] included.

    Example:

    >>> from hierbert_tf.config import EncoderConfig, TaskConfig
    >>> from hierbert_tf.models.pretrainer import build_pretrainer
    >>> tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "tea", "time"]
    >>> tokenizer = HierarchicalBertTokenizer(tokens)
    >>> model = build_pretrainer(EncoderConfig(layers=2, hidden=4, heads=2, positions=16),
    ...                          [TaskConfig("masked_lm", 2)], len(tokens), seed=1)
    >>> fill_mask = FillMask(FillMaskIds(model, tokenizer, top_k=3), tokenizer, 16)
    >>> tuple(fill_mask(["tea [MASK]", "[MASK] [MASK]"])["token"].shape)
    (2, 2, 3)
    """

    name = "fill_mask"

    def __init__(
        self,
        fill_mask_ids: FillMaskIds,
        tokenizer: HierarchicalBertTokenizer,
        sequence_length: int,
    ) -> None:
        self.inputs = text_inputs(TEXT)
        self.sequence_length = sequence_length
        self._fill_mask_ids = fill_mask_ids
        self._tokenizer = tokenizer

    def __call__(self, *tensors: Any) -> dict[str, tf.Tensor]:
        """Tokenises around the masks and fills them."""
        (text,) = tensors
        features = self.features(tf.convert_to_tensor(text, tf.string))
        return self._fill_mask_ids(*in_order(features), features[MASKED_POSITIONS])

    def features(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Features of texts, and `masked_positions`.

        Args:
            text: string [B].

        Returns:
            int32 [B, T] features; `masked_positions` [B, M], ascending, 0 where there are fewer.
        """
        tokenizer = self._tokenizer
        # No text gives the id of [MASK], so it is put between the pieces.
        pieces = tf.strings.split(text, MASK)  # [B, (pieces)]
        tokens = tokenizer.tokenize(pieces.values)
        is_last = tf.scatter_nd(
            pieces.row_limits()[:, tf.newaxis] - 1,
            tf.ones_like(pieces.row_limits()),
            tf.shape(pieces.values, tf.int64),
        )
        behind = tf.RaggedTensor.from_row_lengths(
            tf.fill([tf.reduce_sum(1 - is_last)], tokenizer.mask_token_id), 1 - is_last
        )
        ids = pieces.with_values(tf.concat([tokens, tf.cast(behind, tokens.dtype)], axis=1))
        ids = ids.merge_dims(1, 2)[:, : self.sequence_length - 2]
        rows = ids.nrows()
        cls = tf.fill([rows, 1], tf.cast(tokenizer.cls_token_id, ids.dtype))
        sep = tf.fill([rows, 1], tf.cast(tokenizer.sep_token_id, ids.dtype))
        ids = tf.cast(tf.concat([cls, ids, sep], axis=1), tf.int32)
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        # An empty batch has no longest row.
        longest = tf.reduce_max(tf.concat([lengths, [1]], axis=0))
        width = tf.minimum(-(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE, self.sequence_length)
        place = tf.range(width)[tf.newaxis]  # [1, T]
        dense = ids.to_tensor(tokenizer.pad_token_id, shape=[None, self.sequence_length])
        dense = dense[:, :width]
        is_mask = tf.equal(dense, tokenizer.mask_token_id)
        places = tf.broadcast_to(place, tf.shape(dense))
        masked = tf.RaggedTensor.from_row_lengths(
            tf.boolean_mask(places, is_mask), tf.math.count_nonzero(is_mask, axis=1)
        )
        return {
            TOKEN_IDS: dense,
            SEGMENT_IDS: tf.zeros_like(dense),
            PADDING_MASK: tf.cast(place < lengths[:, tf.newaxis], tf.int32),
            MASKED_POSITIONS: masked.to_tensor(),
        }

    def requests(self) -> list[dict[str, np.ndarray]]:
        """One text, a batch of short ones, a long one, with a mask each."""
        return text_requests(TEXT, add=f"{MASK} ")


def masked_lm_task(pretrainer: HierarchicalBertPretrainer) -> MaskedLM | None:
    """The model's masked LM, whatever it is called; the first, if there are several."""
    tasks = build_tasks(pretrainer.task_configs, pretrainer.backbone.num_layers)
    return next((task for task in tasks if isinstance(task, MaskedLM)), None)

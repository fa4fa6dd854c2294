"""A model and batches small enough to trace in a second, with the pretrainer's contract."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from hierbert_tf.config import ReceivesConfig, TaskConfig

VOCABULARY = 11
TASKS = (
    TaskConfig("next_sentence", layer=1, weight=0.5),
    TaskConfig("masked_lm", layer=2, receives=ReceivesConfig("next_sentence")),
)


def tiny_model(dropout: float = 0.0, seed: int = 7) -> keras.Model:
    """[B, T] ids -> {"next_sentence": [B, 2], "masked_lm": [B, P, V]}."""
    features = {
        "token_ids": keras.Input([None], dtype="int32", name="token_ids"),
        "padding_mask": keras.Input([None], dtype="int32", name="padding_mask"),
        "masked_positions": keras.Input([None], dtype="int32", name="masked_positions"),
    }

    def kernel(number: int) -> keras.initializers.Initializer:
        return keras.initializers.RandomNormal(stddev=0.3, seed=seed + number)

    x = keras.layers.Embedding(VOCABULARY, 6, embeddings_initializer=kernel(0), name="embeddings")(
        features["token_ids"]
    )
    x = keras.layers.Dropout(dropout, seed=seed, name="dropout")(x)
    x = x * ops.cast(features["padding_mask"], x.dtype)[:, :, None]
    mean = ops.mean(x, axis=1, keepdims=True)
    x = keras.layers.Dense(6, "tanh", kernel_initializer=kernel(1), name="encoder_block_1")(
        x + mean
    )
    next_sentence = keras.layers.Dense(2, kernel_initializer=kernel(2), name="next_sentence")(
        x[:, 0]
    )
    x = keras.layers.Dense(6, "tanh", kernel_initializer=kernel(3), name="encoder_block_2")(x)
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = ops.take_along_axis(x, features["masked_positions"][:, :, None], axis=1)
    masked_lm = keras.layers.Dense(VOCABULARY, kernel_initializer=kernel(4), name="masked_lm")(x)
    return keras.Model(features, {"next_sentence": next_sentence, "masked_lm": masked_lm})


def tiny_batch(step: int, size: int = 8, length: int = 5):
    """A batch as numpy arrays: a pure function of `step`; the rows' numbers of labels differ."""
    random = np.random.default_rng(step)
    token_ids = random.integers(1, VOCABULARY, [size, length]).astype("int32")
    token_ids[:, 1] = token_ids[:, 2]  # repeated ids
    padding_mask = np.ones([size, length], "int32")
    padding_mask[: size // 2, -1] = 0
    weights = (random.random([size, 3]) < np.linspace(0.2, 0.9, size)[:, None]).astype("float32")
    features = {
        "token_ids": token_ids * padding_mask,
        "padding_mask": padding_mask,
        "masked_positions": random.integers(0, length - 1, [size, 3]).astype("int32"),
    }
    labels = {
        "next_sentence": (token_ids[:, 1] % 2).astype("int32"),
        "masked_lm": random.integers(0, VOCABULARY, [size, 3]).astype("int32"),
    }
    return features, labels, {"next_sentence": np.ones([size], "float32"), "masked_lm": weights}


def tiny_dataset(first_step: int, steps: int = 1000, size: int = 8) -> tf.data.Dataset:
    """Batches from `first_step` on; lengths alternate."""
    batches = [tiny_batch(step, size, 5 + 2 * (step % 2)) for step in range(first_step, steps)]
    spec = tf.nest.map_structure(
        lambda a: tf.TensorSpec([None] * a.ndim, a.dtype), tiny_batch(0, size)
    )
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)

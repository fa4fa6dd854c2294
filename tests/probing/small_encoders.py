"""Encoders and tasks small enough to probe in a second."""

from collections.abc import Sequence
from typing import Any

import keras_hub
import numpy as np

from hierbert_tf.downstream.example_counts import ExampleCounts
from hierbert_tf.probing.examples import TRAIN, ProbingTask, sentence_words
from hierbert_tf.probing.probed_encoder import ProbedEncoder
from tests.models.tiny_encoder import TOKENS, stirred, tiny_backbone, tiny_tokenizer

SENTENCES = ("w1 w2s .", "w3", "w4s w5s w6s w7s w8s", "w1 w1", "W9 w0 .")


def our_encoder(**changes: Any) -> ProbedEncoder:
    return ProbedEncoder(stirred(tiny_backbone(**changes)), tiny_tokenizer(), "ours")


def keras_hub_backbone(seed: int = 0, **changes: Any) -> keras_hub.models.BertBackbone:
    shape = dict(
        vocabulary_size=len(TOKENS), num_layers=2, num_heads=2, hidden_dim=8,
        intermediate_dim=16, max_sequence_length=32, dropout=0.5,
    )  # fmt: skip
    backbone = keras_hub.models.BertBackbone(**{**shape, **changes})
    random = np.random.default_rng(seed)
    for weight in backbone.weights:
        weight.assign(random.normal(scale=0.3, size=weight.shape))
    return backbone


def keras_hub_tokenizer(**changes: Any) -> keras_hub.models.BertTokenizer:
    return keras_hub.models.BertTokenizer(TOKENS, **{"lowercase": True, **changes})


def keras_hub_encoder() -> ProbedEncoder:
    return ProbedEncoder(keras_hub_backbone(), keras_hub_tokenizer(), "theirs")


def make_task(sentences: Sequence[str] = SENTENCES, word_level: bool = False) -> ProbingTask:
    places = [
        (number, word)
        for number, sentence in enumerate(sentences)
        for word in range(len(sentence_words(sentence)) if word_level else 1)
    ]
    index = np.array(places, np.int32)
    labels = np.arange(len(places), dtype=np.int32) % 2
    splits = np.full(len(places), TRAIN, np.int8)
    counts = ExampleCounts("planted.txt")
    return ProbingTask(
        "planted", "planted.txt", word_level, tuple(sentences), index[:, 0], index[:, 1],
        labels, splits, ("a", "b"), counts,
    )  # fmt: skip

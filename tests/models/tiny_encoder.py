"""An encoder and a tokenizer small enough to trace in a second."""

from typing import Any

import numpy as np

from hierbert_tf.corpus.vocabulary import SPECIAL_TOKENS
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer

WORDS = [f"w{number}" for number in range(10)]
TOKENS = [*SPECIAL_TOKENS, ".", "##s", *WORDS]
SHAPE: dict[str, Any] = {
    "vocabulary_size": len(TOKENS),
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 16,
    "max_sequence_length": 32,
    "seed": 3,
}
POOLERS = {"next_sentence": 1, "bigram_shift": 1}
TRANSFERS = [{"source": "next_sentence", "by": "concat"}]


def tiny_tokenizer() -> HierarchicalBertTokenizer:
    return HierarchicalBertTokenizer(TOKENS)


def tiny_backbone(**changes: Any) -> HierarchicalBertBackbone:
    settings = {**SHAPE, "poolers": POOLERS, "transfers": TRANSFERS, **changes}
    return HierarchicalBertBackbone(**settings)


def stirred(backbone: HierarchicalBertBackbone, seed: int = 0) -> HierarchicalBertBackbone:
    """The backbone with every weight moved, so that none is at its initial value."""
    random = np.random.default_rng(seed)
    for weight in backbone.weights:
        weight.assign(weight.numpy() + random.normal(scale=0.2, size=weight.shape))
    return backbone


def tiny_features(rows: int = 3, length: int = 7) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    mask = np.ones([rows, length], "int32")
    mask[0, length // 2 :] = 0
    ids = random.integers(5, len(TOKENS), [rows, length]).astype("int32") * mask
    return {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": mask}

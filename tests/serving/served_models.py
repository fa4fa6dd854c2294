"""Small models of every kind, and texts, that the tests of serving share."""

import functools
import random
import string
from typing import Any

from hierbert_tf.config import EncoderConfig, ReceivesConfig, SourceConfig, TaskConfig
from hierbert_tf.corpus.reader import read_documents
from hierbert_tf.corpus.sentences import split_sentences
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.corpus.vocabulary import SPECIAL_TOKENS
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.pretrainer import HierarchicalBertPretrainer, build_pretrainer
from hierbert_tf.models.question_answering import HierarchicalBertQuestionAnswering
from hierbert_tf.models.question_answering_preprocessor import (
    HierarchicalBertQuestionAnsweringPreprocessor,
)
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.models.text_classifier_preprocessor import (
    HierarchicalBertTextClassifierPreprocessor,
)
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from tests.models.tiny_encoder import stirred

LETTERS = string.ascii_lowercase + string.digits
# Letters, so that every text has tokens of its own and words have several.
TOKENS = [
    *SPECIAL_TOKENS, *string.punctuation, *LETTERS, *(f"##{letter}" for letter in LETTERS),
    "the", "of", "and", "北", "京", "ש", "##ל",
]  # fmt: skip
LABELS = ["no", "perhaps", "yes"]


def tokenizer() -> HierarchicalBertTokenizer:
    return HierarchicalBertTokenizer(TOKENS)


def backbone(dtype: Any = None) -> HierarchicalBertBackbone:
    return stirred(
        HierarchicalBertBackbone(
            len(TOKENS), num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16,
            max_sequence_length=64, poolers={"next_sentence": 1},
            transfers=[{"source": "next_sentence", "by": "concat"}], seed=3, dtype=dtype,
        )
    )  # fmt: skip


def classifier(dtype: Any = None) -> HierarchicalBertTextClassifier:
    model = HierarchicalBertTextClassifier(
        backbone(dtype), num_classes=3, labels=LABELS, layer="mix",
        preprocessor=HierarchicalBertTextClassifierPreprocessor(tokenizer(), sequence_length=48),
    )  # fmt: skip
    return stirred(model, seed=1)


def question_model() -> HierarchicalBertQuestionAnswering:
    model = HierarchicalBertQuestionAnswering(
        backbone(), max_answer_length=12,
        preprocessor=HierarchicalBertQuestionAnsweringPreprocessor(
            tokenizer(), sequence_length=64, stride=40, max_question_length=12),
    )  # fmt: skip
    return stirred(model, seed=2)


def pretrainer() -> HierarchicalBertPretrainer:
    tasks = [
        TaskConfig("next_sentence", 1),
        TaskConfig("masked_lm", 2, receives=ReceivesConfig("next_sentence", by="concat")),
    ]
    encoder = EncoderConfig(layers=2, hidden=8, heads=2, positions=64)
    return stirred(build_pretrainer(encoder, tasks, len(TOKENS), seed=3), seed=4)


@functools.cache
def sentences(count: int = 1000) -> tuple[str, ...]:
    """Real sentences, of the excerpt of English Wikipedia."""
    documents = read_documents(SourceConfig(path="wikipedia_excerpt"), ReadStatistics())
    found: list[str] = []
    for document in documents:
        found += split_sentences(document)
        if len(found) >= count:
            break
    return tuple(found[:count])


def odd_texts() -> list[str]:
    """Texts that nobody expects, with one of 100,000 characters."""
    draw = random.Random(4)
    long = "".join(draw.choice(LETTERS + "  .é北") for _ in range(100_000))
    return [
        "", "   ", "\n\t", "a", ".",
        "🙂👩‍👩‍👧 family", "e\u0301 a\u0308 cafe\u0301",
        "北京大学 is a university",
        "שלום עולם", "مرحبا بالعالم", "a\0b", "\0", "\u200b\u00ad", "ß ﬁ İ ﷺ", "x" * 300,
        "[MASK] [SEP] [CLS] [PAD]",
        "\u202etfel ot thgir", long,
    ]  # fmt: skip


ODD_BYTES = [b"\xff\xfe", b"caf\xc3", b"\xed\xa0\x80 a", b"a\x80b", b"\xf0\x9f\x99"]

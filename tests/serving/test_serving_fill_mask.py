"""Masks are filled with what the pre-trained model finds most probable there."""

import numpy as np
import pytest

from hierbert_tf.config import EncoderConfig, TaskConfig
from hierbert_tf.errors import InputError
from hierbert_tf.models.pretrainer import build_pretrainer
from hierbert_tf.serving.fill_mask import FillMask, FillMaskIds
from tests.serving.served_models import TOKENS, odd_texts, pretrainer, tokenizer


@pytest.fixture(scope="module")
def model():
    return pretrainer()


@pytest.fixture(scope="module")
def fill_mask(model):
    return FillMask(FillMaskIds(model, tokenizer(), top_k=3), tokenizer(), 64)


def expected(model, tokens: list[str], top_k: int = 3):
    """Tokens and probabilities at each [MASK] of one row, by a direct call of the model."""
    ids = np.array([[TOKENS.index(token) for token in tokens]], "int32")
    places = [number for number, token in enumerate(tokens) if token == "[MASK]"]
    logits = model(
        {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": 0 * ids + 1,
         "masked_lm_positions": np.array([places], "int32")}
    )["masked_lm"].numpy()[0]  # fmt: skip
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    best = np.argsort(-probabilities, axis=1)[:, :top_k]
    words = [[TOKENS[number] for number in row] for row in best]
    return words, np.take_along_axis(probabilities, best, 1)


def test_masks_are_filled_as_by_the_model(model, fill_mask):
    texts = ["The [MASK] of a[MASK]b.", "no mask", "[MASK]", "[MASK][MASK] and"]
    rows = [
        "[CLS] the [MASK] of a [MASK] b . [SEP]",
        None,
        "[CLS] [MASK] [SEP]",
        "[CLS] [MASK] [MASK] and [SEP]",
    ]
    found = {name: value.numpy() for name, value in fill_mask(texts).items()}
    assert found["token"].shape == (4, 2, 3)
    for number, row in enumerate(rows):
        tokens, probabilities = expected(model, row.split()) if row else ([], np.zeros([0, 3]))
        count = len(tokens)
        assert [[t.decode() for t in some] for some in found["token"][number, :count]] == tokens
        ids = [[TOKENS.index(t) for t in some] for some in tokens]
        assert found["token_id"][number, :count].tolist() == ids
        np.testing.assert_allclose(found["probability"][number, :count], probabilities, atol=1e-6)
        assert not found["probability"][number, count:].any()
        assert set(found["token"][number, count:].ravel()) <= {b""}
        assert not found["token_id"][number, count:].any()


def test_pieces_around_a_mask_are_tokenised_alone(fill_mask):
    features = fill_mask.features(np.array([b"ab[MASK]c, the [MASK] x"], object))
    tokens = [TOKENS[number] for number in features["token_ids"][0] if number]
    # "c" begins a piece of text, so it is no continuation.
    assert tokens == ["[CLS]", "a", "##b", "[MASK]", "c", ",", "the", "[MASK]", "x", "[SEP]"]
    assert features["masked_positions"].numpy().tolist() == [[3, 7]]


def test_what_does_not_fit_is_cut_with_its_masks(fill_mask):
    texts = np.array([b"a " * 60 + b"[MASK] [MASK] [MASK] [MASK]", b"[MASK]"], object)
    features = {name: value.numpy() for name, value in fill_mask.features(texts).items()}
    assert features["token_ids"].shape == (2, 64)
    assert features["masked_positions"].tolist() == [[61, 62], [1, 0]]
    assert TOKENS[features["token_ids"][0, 63]] == "[SEP]"
    assert features["padding_mask"].sum(1).tolist() == [64, 3]


def test_odd_texts_and_no_texts_are_taken(fill_mask):
    assert fill_mask(np.array([], object))["token"].shape == (0, 0, 3)
    texts = [f"{text} [MASK]" for text in odd_texts()]
    found = fill_mask(texts)["probability"].numpy()
    sums = found[:, 0].sum(1)
    # Only the text of 100,000 characters has no room for its mask.
    assert (sums[:-1] > 0).all() and (sums <= 1 + 1e-6).all()


def test_what_cannot_fill_masks_is_named(model):
    encoder = EncoderConfig(layers=2, hidden=4, heads=2, positions=16)
    without = build_pretrainer(encoder, [TaskConfig("next_sentence", 2)], len(TOKENS), seed=1)
    with pytest.raises(InputError, match="not pre-trained with masked_lm"):
        FillMaskIds(without, tokenizer(), 2)
    with pytest.raises(InputError, match="top_k is 0; give 1 to"):
        FillMaskIds(model, tokenizer(), 0)

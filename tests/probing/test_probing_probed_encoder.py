import keras
import keras_hub
import numpy as np
import pytest

from hierbert_tf.errors import InputError
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from hierbert_tf.probing.probed_encoder import ProbedEncoder
from tests.models.tiny_encoder import (
    TOKENS,
    stirred,
    tiny_backbone,
    tiny_features,
    tiny_tokenizer,
)
from tests.probing.small_encoders import (
    keras_hub_backbone,
    keras_hub_encoder,
    keras_hub_tokenizer,
    our_encoder,
)

FEATURES = tiny_features()
BOTH = pytest.mark.parametrize("make", [our_encoder, keras_hub_encoder])


@pytest.fixture(scope="module")
def ours() -> ProbedEncoder:
    return our_encoder(dropout=0.5, attention_dropout=0.5)


@pytest.fixture(scope="module")
def theirs() -> ProbedEncoder:
    return keras_hub_encoder()


def outputs(encoder: ProbedEncoder) -> list[np.ndarray]:
    layers = encoder.layer_outputs(FEATURES["token_ids"], FEATURES["padding_mask"])
    return [np.asarray(layer) for layer in layers]


# === Layers ===


def test_layers_of_ours_are_the_backbones_in_order(ours):
    want = ours.backbone(FEATURES, training=False)
    got = outputs(ours)
    assert len(got) == ours.num_layers + 1 == 3
    for number, layer in enumerate(got):
        np.testing.assert_array_equal(layer, want[f"layer_{number}"])
    assert not np.allclose(got[0], got[1]) and not np.allclose(got[1], got[2])


def test_layers_of_keras_hub_are_one_block_after_another(theirs):
    backbone = theirs.backbone
    ids, mask = FEATURES["token_ids"], FEATURES["padding_mask"]
    x = backbone.token_embedding(ids)
    x = x + backbone.position_embedding(x) + backbone.segment_embedding(0 * ids)
    want = [backbone.embeddings_layer_norm(x)]
    for block in backbone.transformer_layers:
        want.append(block(want[-1], padding_mask=mask, training=False))
    got = outputs(theirs)
    assert len(got) == 3
    for layer, expected in zip(got, want, strict=True):
        np.testing.assert_allclose(layer, expected, atol=1e-6)
    last = backbone(FEATURES, training=False)["sequence_output"]
    np.testing.assert_allclose(got[-1], last, atol=1e-6)


def test_nothing_is_dropped(ours, theirs):
    for encoder in (ours, theirs):
        for first, second in zip(outputs(encoder), outputs(encoder), strict=True):
            np.testing.assert_array_equal(first, second)


# === Text ===


@BOTH
def test_words_begin_where_their_first_tokens_are(make):
    sentences = ["w1s w2 w3s", "", "  w4   w5 ", "w1 \u200b w2", "w1. w2"]
    ids, starts = make().tokenise(sentences, words=True)
    token = {name: index for index, name in enumerate(TOKENS)}
    assert ids[0].tolist() == [token[t] for t in ("w1", "##s", "w2", "w3", "##s")]
    assert starts[0].tolist() == [0, 2, 3]
    assert (ids[1].tolist(), starts[1].tolist()) == ([], [])
    assert starts[2].tolist() == [0, 1]
    assert ids[4].tolist() == [token[t] for t in ("w1", ".", "w2")]
    assert starts[4].tolist() == [0, 2]


def test_a_word_without_tokens_begins_with_the_next():
    ids, starts = our_encoder().tokenise(["w1 \u200b w2", "w1 \u200b"], words=True)
    assert [len(some) for some in ids] == [2, 1]
    assert [some.tolist() for some in starts] == [[0, 1, 1], [0, 1]]


@BOTH
def test_words_one_by_one_give_the_tokens_of_sentences(make):
    encoder = make()
    random = np.random.default_rng(4)
    pieces = ["w1", "W2s", "w3.", "..", "wéird", "\u4e2dw4", "w5\u00a0w6", "-", "w7\tw8", ""]
    sentences = [" ".join(random.choice(pieces, random.integers(0, 9))) for _ in range(200)]
    whole, none = encoder.tokenise(sentences)
    by_word, starts = encoder.tokenise(sentences, words=True)
    assert none == [] and len(starts) == 200
    for first, second in zip(whole, by_word, strict=True):
        assert first.tolist() == second.tolist()


@BOTH
def test_no_sentence_is_no_token(make):
    assert make().tokenise([], words=True) == ([], [])


# === Hash ===


def test_hash_is_of_weights_form_and_tokenizer():
    plain = our_encoder()
    same = our_encoder(dropout=0.5, attention_dropout=0.5, name="other")
    assert plain.sha256 == same.sha256
    others = [
        ProbedEncoder(stirred(tiny_backbone(), seed=1), tiny_tokenizer(), "weights"),
        our_encoder(num_heads=1),
        our_encoder(transfers=()),
        our_encoder(dtype="mixed_bfloat16"),
        ProbedEncoder(plain.backbone, HierarchicalBertTokenizer(TOKENS, lowercase=False), "case"),
        ProbedEncoder(plain.backbone, HierarchicalBertTokenizer(swapped(TOKENS)), "entries"),
    ]
    assert len({encoder.sha256 for encoder in (plain, *others)}) == 7


def swapped(tokens):
    return [*tokens[:-2], tokens[-1], tokens[-2]]


# === Random weights ===


@BOTH
def test_random_weights_follow_the_seed(make):
    encoder = make()
    before = encoder.sha256
    first, again, second = (encoder.with_random_weights(seed) for seed in (1, 1, 2))
    assert first.sha256 == again.sha256
    assert len({before, first.sha256, second.sha256}) == 3
    for layer, same in zip(outputs(first), outputs(again), strict=True):
        np.testing.assert_array_equal(layer, same)
    assert (first.num_layers, first.hidden_dim) == (encoder.num_layers, encoder.hidden_dim)
    assert first.name == f"{encoder.name} (random weights, seed 1)"
    del encoder.sha256
    assert encoder.sha256 == before


def test_random_weights_of_keras_hub_are_berts():
    backbone = keras_hub_encoder().with_random_weights(3).backbone
    values = {weight.path: weight.numpy() for weight in backbone.weights}
    assert (values["embeddings_layer_norm/gamma"] == 1).all()
    assert (values["transformer_layer_1/feedforward_output_dense/bias"] == 0).all()
    kernels = [value.ravel() for path, value in values.items() if path.endswith("kernel")]
    kernels = np.concatenate(kernels)
    assert 0.015 < kernels.std() < 0.02 and abs(kernels).max() <= 0.04 + 1e-6
    query, key = (f"transformer_layer_0/self_attention_layer/{n}/kernel" for n in ("query", "key"))
    assert not np.array_equal(values[query], values[key])


# === What cannot be probed ===


def test_another_kind_of_model_is_refused():
    other = keras_hub.models.DistilBertBackbone(
        len(TOKENS), num_layers=1, num_heads=1, hidden_dim=2, intermediate_dim=2
    )
    with pytest.raises(InputError, match="mine is a DistilBertBackbone, whose layers cannot be"):
        ProbedEncoder(other, tiny_tokenizer(), "mine")


def test_a_tokenizer_of_more_ids_is_refused():
    with pytest.raises(InputError, match="embeddings of 17 token ids, but its tokenizer 18"):
        ProbedEncoder(tiny_backbone(), HierarchicalBertTokenizer([*TOKENS, "new"]), "mine")


@pytest.mark.parametrize("changes", [{"sequence_length": 8}, {"split": False}])
def test_a_tokenizer_that_cuts_or_does_not_split_is_refused(changes):
    with pytest.raises(InputError, match="sequence_length set, or split=False"):
        ProbedEncoder(keras_hub_backbone(), keras_hub_tokenizer(**changes), "theirs")


def test_sequence_length_is_within_the_positions(ours):
    assert [ours.sequence_length(n) for n in (0, 3, 32)] == [32, 3, 32]
    for wrong in (33, 2, -1):
        with pytest.raises(InputError, match=f"sequence_length is {wrong}, but must be from 3 to"):
            ours.sequence_length(wrong)


def test_precision_is_the_models_own():
    encoder = our_encoder(dtype="mixed_bfloat16")
    layers = encoder.layer_outputs(FEATURES["token_ids"], FEATURES["padding_mask"])
    assert {keras.backend.standardize_dtype(layer.dtype) for layer in layers} == {"bfloat16"}

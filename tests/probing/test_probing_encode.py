import numpy as np
import pytest

from hierbert_tf.errors import InputError
from hierbert_tf.probing.encode import EncodingCounts, encode
from hierbert_tf.probing.probed_encoder import ProbedEncoder
from tests.probing.small_encoders import (
    SENTENCES,
    keras_hub_encoder,
    make_task,
    our_encoder,
)

POOLINGS = ("cls", "mean", "max")


@pytest.fixture(scope="module")
def ours() -> ProbedEncoder:
    return our_encoder(dropout=0.5)


@pytest.fixture(scope="module")
def theirs() -> ProbedEncoder:
    return keras_hub_encoder()


def encoded(encoder, task, poolings=POOLINGS, length=32, batch_tokens=64):
    shape = (encoder.num_layers + 1, len(task.labels), encoder.hidden_dim)
    vectors = {pooling: np.full(shape, np.nan, np.float32) for pooling in poolings}
    return vectors, encode(encoder, task, vectors, length, batch_tokens)


def alone(encoder, sentence, length=32):
    """Every layer's vectors [L + 1, T, H] of one sentence without padding."""
    tokens = encoder.tokenise([sentence])[0][0][: length - 2]
    ids = np.array([[2, *tokens, 3]], "int32")
    return np.concatenate([np.asarray(x) for x in encoder.layer_outputs(ids, np.ones_like(ids))])


@pytest.mark.parametrize("name", ["ours", "theirs"])
def test_vectors_are_those_of_each_sentence_alone(name, request):
    encoder = request.getfixturevalue(name)
    vectors, counts = encoded(encoder, make_task())
    for row, sentence in enumerate(SENTENCES):
        want = alone(encoder, sentence)
        np.testing.assert_allclose(vectors["cls"][:, row], want[:, 0], atol=1e-5)
        np.testing.assert_allclose(vectors["mean"][:, row], want.mean(axis=1), atol=1e-5)
        np.testing.assert_allclose(vectors["max"][:, row], want.max(axis=1), atol=1e-5)
    assert counts == EncodingCounts()


@pytest.mark.parametrize("batch_tokens", [1, 40, 10_000])
def test_batches_change_no_vector(ours, batch_tokens):
    # Some of 9, some of 25 tokens, so that batches of both lengths are padded.
    random = np.random.default_rng(2)
    sentences = [" ".join(f"w{n}" for n in random.integers(0, 10, 5 + 16 * (i % 2)))
                 for i in range(9)]  # fmt: skip
    task = make_task([*SENTENCES, *sentences])
    want, _ = encoded(ours, task, batch_tokens=64)
    got, _ = encoded(ours, task, batch_tokens=batch_tokens)
    for pooling in POOLINGS:
        np.testing.assert_allclose(got[pooling], want[pooling], atol=1e-5)


def test_padding_changes_no_vector(ours):
    short = make_task(["w1 w2s"])
    beside_long = make_task(["w1 w2s", " ".join(["w3"] * 29)])
    # The second task's batch takes both sentences, so the first is padded to 32 tokens.
    want, _ = encoded(ours, short, batch_tokens=10_000)
    got, _ = encoded(ours, beside_long, batch_tokens=10_000)
    for pooling in POOLINGS:
        np.testing.assert_allclose(got[pooling][:, :1], want[pooling], atol=1e-5)


def test_sentences_that_are_too_long_are_cut_and_counted(ours):
    task = make_task(["w1 w2 w3 w4 w5", "w1 w2 w3", "w1"])
    vectors, counts = encoded(ours, task, length=5)
    assert counts == EncodingCounts(cut_sentences=1)
    np.testing.assert_allclose(vectors["mean"][:, 0], vectors["mean"][:, 1], atol=1e-6)


def test_an_odd_length_is_never_exceeded(ours):
    # 17 is no multiple of 16, but the 18th position may not exist.
    encoder = our_encoder(max_sequence_length=17)
    _, counts = encoded(encoder, make_task([" ".join(["w3"] * 40), "w1"]), length=17)
    assert counts.cut_sentences == 1


@pytest.mark.parametrize("name", ["ours", "theirs"])
def test_words_have_their_first_tokens_vectors(name, request):
    encoder = request.getfixturevalue(name)
    task = make_task(["w1s w2 w3s", "w4", "w5s w6s ."], word_level=True)
    vectors, counts = encoded(encoder, task, ("first_token",))
    # [CLS] w1 ##s w2 w3 ##s [SEP]
    positions = [[1, 3, 4], [1], [1, 3, 5]]
    example = 0
    for sentence, places in zip(task.sentences, positions, strict=True):
        want = alone(encoder, sentence)
        for place in places:
            np.testing.assert_allclose(
                vectors["first_token"][:, example], want[:, place], atol=1e-5
            )
            example += 1
    assert example == 7 and counts == EncodingCounts()


def test_words_that_are_cut_off_have_the_last_tokens_vector(ours):
    task = make_task(["w1 w2s w3 w4", "w5"], word_level=True)
    vectors, counts = encoded(ours, task, ("first_token",), length=5)
    # [CLS] w1 w2 ##s [SEP]
    assert counts == EncodingCounts(cut_sentences=1, cut_words=2)
    want = alone(ours, "w1 w2s w3 w4", length=5)
    for example, place in enumerate([1, 2, 3, 3]):
        np.testing.assert_allclose(vectors["first_token"][:, example], want[:, place], atol=1e-5)


def test_words_without_tokens_have_the_next_tokens_vector(ours):
    task = make_task(["w1 \u200b w2", "w3 \u200b", "\u200b"], word_level=True)
    vectors, counts = encoded(ours, task, ("first_token",))
    assert counts == EncodingCounts(words_without_tokens=3)
    got = vectors["first_token"]
    np.testing.assert_array_equal(got[:, 1], got[:, 2])
    np.testing.assert_array_equal(got[:, 3], got[:, 4])
    np.testing.assert_allclose(got[:, 5], alone(ours, "\u200b")[:, 0], atol=1e-5)


def test_mixed_precision_is_pooled_in_single(ours):
    encoder = our_encoder(dtype="mixed_bfloat16")
    vectors, _ = encoded(encoder, make_task(), ("mean",))
    mean = vectors["mean"]
    # A mean in bfloat16 would have no bits below the upper sixteen.
    assert (mean.view(np.uint32) & 0xFFFF != 0).mean() > 0.5
    whole, _ = encoded(ours, make_task(), ("mean",))
    np.testing.assert_allclose(mean, whole["mean"], atol=0.1)


def test_damaged_weights_are_noticed():
    encoder = our_encoder()
    encoder.backbone.token_embedding.embeddings.assign(
        np.full(encoder.backbone.token_embedding.embeddings.shape, np.nan)
    )
    with pytest.raises(
        InputError, match=r"ours gives values that are not finite for 'planted.txt'"
    ):
        encoded(encoder, make_task(), ("cls",))

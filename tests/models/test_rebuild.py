import keras
import numpy as np
import pytest

from hierbert_tf.models.rebuild import random_backbone, rebuild_backbone
from tests.models.tiny_encoder import stirred, tiny_backbone, tiny_features

FEATURES = tiny_features()


@pytest.fixture(scope="module")
def backbone():
    return stirred(tiny_backbone())


def values(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def test_other_dropouts_and_seeds_keep_the_weights(backbone):
    rebuilt = rebuild_backbone(backbone, dropout=0.3, attention_dropout=0.0, seed=11)
    np.testing.assert_array_equal(
        rebuilt(FEATURES)["sequence_output"], backbone(FEATURES)["sequence_output"]
    )
    expected = {**backbone.get_config(), "dropout": 0.3, "attention_dropout": 0.0, "seed": 11}
    assert rebuilt.get_config() == expected
    assert rebuilt.encoder_blocks[0].dropout_rate == 0.3
    first, second = (
        rebuild_backbone(backbone, seed=seed)(FEATURES, training=True)["sequence_output"]
        for seed in (1, 2)
    )
    assert np.abs(np.asarray(first) - np.asarray(second)).max() > 1e-3
    rebuilt.encoder_blocks[0].query.kernel.assign(
        np.zeros_like(rebuilt.encoder_blocks[0].query.kernel)
    )
    assert np.abs(backbone.encoder_blocks[0].query.kernel.numpy()).max() > 0


def test_without_transfer_the_rest_stays(backbone):
    rebuilt = rebuild_backbone(backbone, transfers=())
    ours, theirs = values(rebuilt), values(backbone)
    assert set(theirs) - set(ours) == {
        f"next_sentence_transfer/{name}" for name in ("token_kernel", "vector_kernel", "bias")
    }
    for path, value in ours.items():
        np.testing.assert_array_equal(value, theirs[path])
    np.testing.assert_array_equal(rebuilt(FEATURES)["layer_1"], backbone(FEATURES)["layer_1"])
    difference = np.asarray(rebuilt(FEATURES)["layer_2"]) - backbone(FEATURES)["layer_2"]
    assert np.abs(difference).max() > 1e-3


def test_poolers_keep_their_weights_by_name(backbone):
    poolers = {"next_sentence": 2, "new": 0}
    rebuilt = rebuild_backbone(backbone, poolers=poolers, transfers=())
    ours, theirs = values(rebuilt), values(backbone)
    path = "next_sentence_pooler/dense/kernel"
    np.testing.assert_array_equal(ours[path], theirs[path])
    fresh = values(tiny_backbone(poolers=poolers, transfers=()))
    np.testing.assert_array_equal(ours["new_pooler/dense/kernel"], fresh["new_pooler/dense/kernel"])
    assert "bigram_shift_pooler/dense/kernel" not in ours


def test_a_transfer_of_another_form_starts_anew(backbone):
    rebuilt = rebuild_backbone(backbone, transfers=[{"source": "next_sentence", "by": "add"}])
    assert not values(rebuilt)["next_sentence_transfer/vector_kernel"].any()
    same = rebuild_backbone(backbone, transfers=[{"source": "next_sentence", "by": "concat"}])
    assert values(same)["next_sentence_transfer/vector_kernel"].any()


def test_precision(backbone):
    rebuilt = rebuild_backbone(backbone, dtype="mixed_bfloat16")
    output = rebuilt(FEATURES)["sequence_output"]
    assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"
    assert {weight.dtype for weight in rebuilt.weights} == {"float32"}
    expected = backbone(FEATURES)["sequence_output"]
    np.testing.assert_allclose(np.asarray(output).astype("float32"), expected, atol=0.1)


def test_lora_is_merged_and_all_is_trainable():
    backbone = stirred(tiny_backbone())
    backbone.enable_lora(2)
    stirred(backbone, seed=1)
    rebuilt = rebuild_backbone(backbone)
    assert set(values(rebuilt)) == set(values(tiny_backbone()))
    assert len(rebuilt.trainable_weights) == len(rebuilt.weights)
    np.testing.assert_allclose(
        rebuilt(FEATURES)["sequence_output"], backbone(FEATURES)["sequence_output"], atol=1e-5
    )


def test_random_weights_of_the_same_architecture(backbone):
    random = random_backbone(backbone, seed=3)
    expected = tiny_backbone(seed=3)
    assert random.get_config() == {**backbone.get_config(), "seed": 3}
    for path, value in values(random).items():
        np.testing.assert_array_equal(value, values(expected)[path])
    other = values(random_backbone(backbone, seed=4))
    path = "encoder_block_1/query/kernel"
    assert np.abs(other[path] - values(random)[path]).max() > 1e-3


def test_errors(backbone):
    with pytest.raises(TypeError, match="num_layers, hidden_dim cannot be changed"):
        rebuild_backbone(backbone, num_layers=3, hidden_dim=4)
    with pytest.raises(ValueError, match="none of the poolers"):
        rebuild_backbone(backbone, poolers={"bigram_shift": 1})

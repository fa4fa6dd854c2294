import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.errors import InputError
from hierbert_tf.models.freeze import freeze_layers
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from tests.models.tiny_encoder import stirred, tiny_backbone, tiny_features

FEATURES = tiny_features()
LABELS = np.array([0, 1, 1])
BESIDE = {"next_sentence_pooler", "bigram_shift_pooler", "next_sentence_transfer"}


def trainable(model):
    return {weight.path.split("/")[0] for weight in model.trainable_weights}


@pytest.mark.parametrize(
    ("below", "expected"),
    [
        (0, {"encoder_block_1", "encoder_block_2", *BESIDE}),
        (1, {"encoder_block_2"}),
        (2, set()),
    ],
)
def test_what_stays_trainable(below, expected):
    backbone = tiny_backbone()
    freeze_layers(backbone, below)
    assert trainable(backbone) == expected
    frozen = {weight.path.split("/")[0] for weight in backbone.non_trainable_weights}
    assert frozen & expected == set()


def test_training_moves_what_is_not_frozen():
    backbone = stirred(tiny_backbone())
    freeze_layers(backbone, 1)
    model = HierarchicalBertTextClassifier(backbone, num_classes=2)
    model.optimizer.learning_rate = 0.01
    before = {weight.path: weight.numpy() for weight in model.weights}
    model.fit(FEATURES, LABELS, verbose=0)
    moved = {w.path.split("/")[0] for w in model.weights if (w.numpy() != before[w.path]).any()}
    assert moved == {"encoder_block_2", "pooler", "logits"}


@pytest.mark.parametrize("below", [-1, 3])
def test_layers_that_are_not_there(below):
    with pytest.raises(InputError, match=f"{below} layers cannot be frozen: give 0 .* to 2"):
        freeze_layers(tiny_backbone(), below)


def test_lora_trains_its_updates_and_the_head(tmp_path):
    backbone = stirred(tiny_backbone(dropout=0.0, attention_dropout=0.0))
    plain = HierarchicalBertTextClassifier(backbone, num_classes=2, dropout=0.0)
    before = plain.predict(FEATURES, verbose=0)
    backbone.enable_lora(2)
    model = HierarchicalBertTextClassifier(backbone, num_classes=2, dropout=0.0)
    model.optimizer.learning_rate = 0.05
    np.testing.assert_allclose(model.predict(FEATURES, verbose=0), before, atol=1e-6)
    names = {path.rsplit("/", 1)[1] for path in (w.path for w in backbone.trainable_weights)}
    assert names == {"lora_kernel_a", "lora_kernel_b", "bias"}
    assert {w.path.split("/")[1] for w in backbone.trainable_weights} == {"query", "value"}
    values = {weight.path: weight.numpy() for weight in model.weights}
    model.fit(FEATURES, LABELS, epochs=3, verbose=0)
    moved = {w.path for w in model.weights if (w.numpy() != values[w.path]).any()}
    assert moved == {weight.path for weight in model.trainable_weights}
    assert {path.split("/")[0] for path in moved} == {
        "encoder_block_1", "encoder_block_2", "pooler", "logits",
    }  # fmt: skip

    # Saved, the updates are merged into the kernels.
    after = model.predict(FEATURES, verbose=0)
    assert np.abs(after - before).max() > 1e-3
    model.save_to_preset(str(tmp_path / "preset"))
    again = HierarchicalBertTextClassifier.from_preset(tmp_path / "preset", preprocessor=None)
    assert not [w for w in again.weights if "lora" in w.path]
    np.testing.assert_allclose(again.predict(FEATURES, verbose=0), after, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(FEATURES, verbose=0), after, atol=1e-5)
    backbone.save_lora_weights(str(tmp_path / "updates.lora.h5"))
    fresh = stirred(tiny_backbone(dropout=0.0, attention_dropout=0.0))
    fresh.load_lora_weights(str(tmp_path / "updates.lora.h5"))
    kernels = [
        (one.query.lora_kernel_b.numpy(), other.query.lora_kernel_b.numpy())
        for one, other in zip(fresh.encoder_blocks, backbone.encoder_blocks, strict=True)
    ]
    for one, other in kernels:
        assert other.any()
        np.testing.assert_array_equal(one, other)

import numpy as np
import pytest

from hierbert_tf.errors import InputError
from hierbert_tf.models.layer_decay import layer_decay_multipliers
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.training.optimizer import AdamW
from tests.models.tiny_encoder import tiny_backbone, tiny_features


def by_layer(factors):
    found = {}
    for path, factor in factors.items():
        found.setdefault(path.split("/")[0], set()).add(factor)
    return {name: values.pop() for name, values in found.items() if len(values) == 1}


def test_factors_fall_from_the_head_to_the_embeddings():
    model = HierarchicalBertTextClassifier(tiny_backbone(), num_classes=2)
    factors = layer_decay_multipliers(model, 0.5)
    assert set(factors) == {weight.path for weight in model.weights}
    assert by_layer(factors) == {
        "logits": 1.0,
        "pooler": 1.0,
        "encoder_block_2": 0.5,
        "encoder_block_1": 0.25,
        "next_sentence_pooler": 0.25,
        "bigram_shift_pooler": 0.25,
        "next_sentence_transfer": 0.25,
        "embeddings": 0.125,
    }
    assert set(layer_decay_multipliers(model, 1).values()) == {1.0}


def test_counted_from_the_layer_that_the_head_reads():
    factors = by_layer(
        layer_decay_multipliers(
            HierarchicalBertTextClassifier(tiny_backbone(), num_classes=2, layer=1), 0.1
        )
    )
    assert factors["encoder_block_1"] == pytest.approx(0.1)
    assert factors["embeddings"] == pytest.approx(0.01)
    assert factors["encoder_block_2"] == 1.0
    mixed = layer_decay_multipliers(
        HierarchicalBertTextClassifier(tiny_backbone(), num_classes=2, layer="mix"), 0.1
    )
    assert mixed["layer_mix/scale"] == 1.0
    assert by_layer(mixed)["encoder_block_2"] == pytest.approx(0.1)


def test_the_first_step_is_as_long_as_the_factor():
    """Adam's first step moves each weight by the learning rate, whatever its gradient."""
    backbone = tiny_backbone(dropout=0.0, attention_dropout=0.0)
    model = HierarchicalBertTextClassifier(backbone, num_classes=2, dropout=0.0)
    factors = layer_decay_multipliers(model, 0.5)
    optimizer = AdamW(0.01, weight_decay=0.0, epsilon=1e-12, learning_rate_multipliers=factors)
    model.compile(optimizer)
    before = {weight.path: weight.numpy() for weight in model.weights}
    model.fit(tiny_features(), np.array([0, 1, 1]), verbose=0)
    for path in (
        "logits/kernel",
        "encoder_block_2/output/kernel",
        "encoder_block_1/output/kernel",
        "embeddings/layer_norm/gamma",
    ):
        (weight,) = [weight for weight in model.weights if weight.path == path]
        step = np.abs(weight.numpy() - before[path]).max()
        assert step == pytest.approx(0.01 * factors[path], rel=1e-2), path


@pytest.mark.parametrize("decay", [0, 1.1, float("nan")])
def test_a_decay_that_is_none(decay):
    model = HierarchicalBertTextClassifier(tiny_backbone(), num_classes=2)
    with pytest.raises(InputError, match="give 0 < decay <= 1"):
        layer_decay_multipliers(model, decay)

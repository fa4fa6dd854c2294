"""Keras' other export formats give the model's logits; skipped where their packages are not."""

import numpy as np
import pytest

from tests.serving.served_models import classifier, sentences


@pytest.fixture(scope="module")
def model():
    return classifier()


@pytest.fixture(scope="module")
def features(model):
    prepared = model.preprocessor(list(sentences(20)), None)
    return {name: value.numpy() for name, value in prepared.items()}


@pytest.fixture(scope="module")
def logits(model, features):
    # Keras exports no model that was never called.
    return model(features, training=False).numpy()


def by_name(features, name):
    return next(value for key, value in features.items() if key in name)


def test_onnx_gives_the_same_logits(model, features, logits, tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    model.export(str(tmp_path / "model.onnx"), format="onnx", verbose=False)
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = {one.name: by_name(features, one.name) for one in session.get_inputs()}
    (found,) = session.run(None, inputs)
    np.testing.assert_allclose(found, logits, atol=1e-4)


def test_openvino_gives_the_same_logits(model, features, logits, tmp_path):
    openvino = pytest.importorskip("openvino")
    model.export(str(tmp_path / "model.xml"), format="openvino", verbose=False)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(tmp_path / "model.xml", "CPU", exact)
    inputs = [by_name(features, one.any_name) for one in compiled.inputs]
    (found,) = compiled(inputs).values()
    np.testing.assert_allclose(found, logits, atol=1e-4)

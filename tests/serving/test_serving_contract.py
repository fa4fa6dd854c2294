"""Exports against the server's contract: loader, signatures, ops, warmup, gRPC and REST.

TensorFlow Serving itself is not there: `stand_in_server` answers in its place.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from hierbert_tf.config_export import ExportConfig
from hierbert_tf.serving.archive import write_saved_model
from hierbert_tf.serving.client import GrpcClient, RestClient, ServingError
from hierbert_tf.serving.endpoints_for import endpoints_for
from hierbert_tf.serving.load_model import LoadedModel
from hierbert_tf.serving.warmup import WARMUP_FILE, read_warmup_requests, write_warmup_requests
from tests.serving.served_models import (
    LABELS,
    ODD_BYTES,
    classifier,
    odd_texts,
    pretrainer,
    question_model,
    sentences,
    tokenizer,
)
from tests.serving.stand_in_server import ServedVersion, StandInServer

# Of TensorFlow Text, linked into the official server as a whole; these two and no others.
TEXT_OPS = {"FastBertNormalize", "FastWordpieceTokenizeWithOffsets"}
# Known to TensorFlow, but not to a server: Python, XLA, debugging.
FORBIDDEN = {"PyFunc", "EagerPyFunc", "PyFuncStateless", "XlaLaunch", "Print", "PrintV2"}


@pytest.fixture(scope="module")
def endpoints():
    """The endpoints of a model of each kind, by the model's name."""
    config = ExportConfig(text_fields=2, top_k=3)
    models = {"pairs": classifier(), "questions": question_model(), "wiki": pretrainer()}
    return {
        name: endpoints_for(LoadedModel(model, _tokenizer_of(model), None), config)
        for name, model in models.items()
    }


def _tokenizer_of(model):
    return model.preprocessor.tokenizer if model.preprocessor else tokenizer()


@pytest.fixture(scope="module")
def saved(endpoints, tmp_path_factory):
    root = tmp_path_factory.mktemp("saved_models")
    for name, some in endpoints.items():
        write_saved_model(root / name / "1", some)
        (root / name / "1" / "assets.extra").mkdir()
        write_warmup_requests(root / name / "1" / "assets.extra" / WARMUP_FILE, name, some)
    return root


@pytest.fixture(scope="module")
def server(saved):
    server = StandInServer({path.name: path for path in saved.iterdir()})
    yield server
    server.close()


@pytest.fixture(scope="module", params=["grpc", "rest", "rest by rows"])
def client_of(request, server):
    """Makes a client of a model, by each protocol."""
    if request.param == "grpc":
        return lambda name, **more: GrpcClient(f"127.0.0.1:{server.grpc_port}", name, **more)
    form = "instances" if "rows" in request.param else "inputs"
    address = f"http://127.0.0.1:{server.rest_port}"
    return lambda name, **more: RestClient(address, name, form=form, **more)


def endpoint(endpoints, model, name):
    return next(one for one in endpoints[model] if one.name == name)


# === The files ===


@pytest.mark.parametrize("model", ["pairs", "questions", "wiki"])
def test_a_session_gives_what_the_model_in_memory_gives(endpoints, saved, model):
    served = ServedVersion(saved / model / "1")
    for one in endpoints[model]:
        for request in one.requests():
            found = served.run(one.name, request)
            expected = one(*(request[spec.name] for spec in one.inputs))
            assert set(found) == set(expected)
            for name, value in expected.items():
                if value.dtype == tf.string or value.dtype.is_integer:
                    np.testing.assert_array_equal(found[name], value)
                else:
                    np.testing.assert_allclose(found[name], value, atol=1e-5)


@pytest.mark.parametrize("model", ["pairs", "questions", "wiki"])
def test_a_server_knows_every_op(saved, model):
    graph = (
        saved_model_pb2.SavedModel.FromString((saved / model / "1" / "saved_model.pb").read_bytes())
        .meta_graphs[0]
        .graph_def
    )
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    functions = {function.signature.name for function in graph.library.function}
    ops = {node.op for node in nodes} - functions
    # In a process without TensorFlow Text, TensorFlow knows its own ops alone.
    program = (
        "import json, sys, tensorflow\n"
        "from tensorflow.python.framework import op_def_registry\n"
        "print(json.dumps([o for o in json.load(sys.stdin) if op_def_registry.get(o) is None]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(sorted(ops)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(json.loads(done.stdout)) == TEXT_OPS
    assert not ops & FORBIDDEN


def test_tokeniser_and_encoder_stand_once_in_the_file(saved):
    """The functions that string and id signatures share are written once."""
    graph = (
        saved_model_pb2.SavedModel.FromString(
            (saved / "pairs" / "1" / "saved_model.pb").read_bytes()
        )
        .meta_graphs[0]
        .graph_def
    )
    products = sum(
        node.op == "BatchMatMulV2"
        for function in graph.library.function
        for node in function.node_def
    )
    # Scores and values of two blocks for the classes, and of two for the embeddings.
    assert products == 8
    large = [
        len(node.attr["value"].tensor.tensor_content)
        for nodes in (graph.node, *(f.node_def for f in graph.library.function))
        for node in nodes
        if node.op == "Const" and node.attr["value"].tensor.dtype == tf.uint8.as_datatype_enum
    ]
    assert len([size for size in large if size > 100]) <= 2


def test_warmup_requests_are_records_that_the_export_answers(endpoints, saved):
    for model, some in endpoints.items():
        folder = saved / model / "1"
        served = ServedVersion(folder)
        names = []
        for record in read_warmup_requests(folder / "assets.extra" / WARMUP_FILE):
            if record.HasField("classify_log"):
                request = record.classify_log.request
                examples = [e.SerializeToString() for e in request.input.example_list.examples]
                inputs = {"inputs": np.array(examples, object)}
            else:
                request = record.predict_log.request
                inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            assert request.model_spec.name == model
            names.append(request.model_spec.signature_name)
            outputs = served.run(names[-1], inputs)
            rows = len(next(iter(inputs.values())))
            assert {len(value) for value in outputs.values()} == {rows}
        assert set(names) == {one.name for one in some}
        assert len(names) <= 1000


# === Over the wire ===


def test_classes_and_vectors_come_over_the_wire(client_of, endpoints):
    client = client_of("pairs")
    texts, pairs = list(sentences(40)), list(sentences(80)[40:])
    expected = endpoint(endpoints, "pairs", "classify")(texts, pairs)
    for number, one in enumerate(client.classify(texts, pairs)):
        assert one["label"] == expected["label"][number].numpy().decode()
        probabilities = [one["probabilities"][label] for label in LABELS]
        np.testing.assert_allclose(probabilities, expected["probabilities"][number], atol=1e-5)
        assert one["probability"] == pytest.approx(max(probabilities))
        assert one["margin"] == pytest.approx(float(expected["margin"][number]), abs=1e-5)
    vectors = client.embed(texts)
    assert vectors.dtype == np.float32
    expected = endpoint(endpoints, "pairs", "embed")(texts)["embedding"]
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_odd_texts_and_bytes_come_through(client_of, endpoints):
    texts = [*odd_texts()[:-1], *ODD_BYTES]
    expected = endpoint(endpoints, "wiki", "embed")(
        [text.encode() if isinstance(text, str) else text for text in texts]
    )["embedding"]
    np.testing.assert_allclose(client_of("wiki").embed(texts), expected, atol=1e-5)


def test_answers_come_over_the_wire(client_of, endpoints):
    questions = [*sentences(10), "who?", b"caf\xc3"]
    contexts = [*sentences(20)[10:], "", b"the \xff cat"]
    expected = endpoint(endpoints, "questions", "answer")(
        *([t.encode() if isinstance(t, str) else t for t in some] for some in (questions, contexts))
    )
    found = client_of("questions").answer(questions, contexts)
    for name, values in expected.items():
        column = [one[name] for one in found]
        if values.dtype == tf.string:
            assert column == [text.decode() for text in values.numpy()]
        else:
            np.testing.assert_allclose(column, values, atol=1e-5)
    # Without a token of context there is no span: minus infinity passes through JSON too.
    assert found[10]["score"] == -np.inf and found[10]["start"] == -1


def test_masks_are_filled_over_the_wire(client_of, endpoints):
    texts = ["the [MASK] of [MASK]", "no mask", "[MASK]"]
    found = client_of("wiki").fill_mask(texts)
    assert [len(masks) for masks in found] == [2, 0, 1]
    expected = endpoint(endpoints, "wiki", "fill_mask")(texts)
    tokens = [one["token"].encode() for one in found[0][1]]
    assert tokens == expected["token"][0, 1].numpy().tolist()
    values = [one["probability"] for one in found[2][0]]
    np.testing.assert_allclose(values, expected["probability"][2, 0], atol=1e-6)


def test_ids_are_taken(client_of, endpoints):
    ids = np.array([[2, 40, 41, 3, 0], [2, 50, 3, 60, 3]])
    segments = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 1, 1]])
    mask = (ids > 0).astype("int32")
    found = client_of("pairs").predict(
        "classify_ids", token_ids=ids, segment_ids=segments, padding_mask=mask
    )
    expected = endpoint(endpoints, "pairs", "classify_ids")(ids, segments, mask)
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-5)
    assert found["label"].tolist() == expected["label"].numpy().tolist()


def test_status_and_signatures_are_told(client_of):
    client = client_of("questions")
    assert client.ready() and client.status() == {1: "AVAILABLE"}
    signatures = client.signatures()
    assert {"answer", "answer_ids", "embed", "embed_ids", "serving_default"} <= set(signatures)
    answer = signatures["answer"]
    assert {name: info.dtype for name, info in answer.inputs.items()} == {
        "question": "object", "context": "object",
    }  # fmt: skip
    assert answer.outputs["start"].dtype == "int64" and answer.outputs["start"].shape == (-1,)


@pytest.mark.parametrize(
    "model, more, call, code, message",
    [
        ("nobody", {}, lambda c: c.embed(["a"]), "NOT_FOUND", "there is no model 'nobody' at"),
        ("wiki", {"version": 7}, lambda c: c.embed(["a"]), "NOT_FOUND", "version 7"),
        ("wiki", {}, lambda c: c.predict("nothing", text=["a"]), "", "nothing.* not found"),
        ("wiki", {}, lambda c: c.predict("embed", words=["a"]), "", "refused the request"),
        ("wiki", {}, lambda c: c.predict("embed", text=[1.5]), "INVALID_ARGUMENT", "refused"),
    ],
)
def test_what_goes_wrong_is_said(client_of, model, more, call, code, message):
    with pytest.raises(ServingError, match=message) as caught:
        call(client_of(model, **more))
    assert caught.value.code == code or code == ""


def test_the_servers_classify_takes_examples_and_regress_is_refused(server, endpoints):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
    )
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "pairs", "classify_examples"
    example = request.input.example_list.examples.add()
    example.features.feature["text"].bytes_list.value.append(b"the cat")
    example.features.feature["text_pair"].bytes_list.value.append(b"42 dogs")
    found = stub.Classify(request, timeout=30).result.classifications[0].classes
    expected = endpoint(endpoints, "pairs", "classify")(["the cat"], ["42 dogs"])
    assert [one.label for one in found] == LABELS
    np.testing.assert_allclose(
        [one.score for one in found], expected["probabilities"][0], atol=1e-5
    )
    request.model_spec.signature_name = "classify"
    with pytest.raises(grpc.RpcError, match="method_name to be tensorflow/serving/classify"):
        stub.Classify(request, timeout=30)
    regress = regression_pb2.RegressionRequest(model_spec=request.model_spec, input=request.input)
    with pytest.raises(grpc.RpcError, match="method_name to be tensorflow/serving/regress"):
        stub.Regress(regress, timeout=30)


def test_json_by_hand(server, endpoints):
    """What a person types into curl."""

    def post(action, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        address = f"http://127.0.0.1:{server.rest_port}/v1/models/pairs{action}"
        try:
            with urllib.request.urlopen(urllib.request.Request(address, data)) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["error"]

    expected = endpoint(endpoints, "pairs", "classify")(["the cat"], ["42"])["logits"][0]
    row = {"text": "the cat", "text_pair": {"b64": "NDI="}}
    found = post(":predict", {"instances": [row]})["predictions"][0]
    np.testing.assert_allclose(found["logits"], expected, atol=1e-5)
    named = {"text": ["the cat"], "text_pair": ["42"]}
    found = post("/versions/1:predict", {"signature_name": "classify", "inputs": named})
    np.testing.assert_allclose(found["outputs"]["logits"][0], expected, atol=1e-5)
    vectors = post(":predict", {"signature_name": "embed", "instances": ["the cat", "42"]})
    assert np.shape(vectors["predictions"]) == (2, 8)
    found = post(":classify", {"signature_name": "classify_examples", "examples": [row]})
    assert [label for label, _ in found["results"][0]] == LABELS
    assert post(":predict", b"{not JSON")[0] == 400
    assert post(":predict", {"instances": [{"text": 5}]})[0] == 400
    assert post("x:predict", {"instances": []})[0] == 404


def test_a_server_that_is_not_there_or_not_in_time(server):
    for client in (
        GrpcClient("127.0.0.1:1", "wiki", timeout=2, retries=0),
        RestClient("http://127.0.0.1:1", "wiki", timeout=2, retries=1),
    ):
        assert not client.ready()
        with pytest.raises(ServingError, match="no server answers at .*127.0.0.1:1") as caught:
            client.embed(["a"])
        assert caught.value.code == "UNAVAILABLE"
    long = [odd_texts()[-1]] * 40
    for client in (
        GrpcClient(f"127.0.0.1:{server.grpc_port}", "questions", timeout=0.05),
        RestClient(f"http://127.0.0.1:{server.rest_port}", "questions", timeout=0.05),
    ):
        with pytest.raises(ServingError, match="did not answer within 0.05 s") as caught:
            client.answer(long, long)
        assert caught.value.code == "DEADLINE_EXCEEDED"

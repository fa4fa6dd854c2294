"""A stand-in for TensorFlow Serving, which cannot be installed from a package index.

It loads exports as the server does (`saved_model.loader.load` with the tag `serve` in a Session,
tensors by the names of the signature) and answers over real sockets with the official messages, by
gRPC (Predict, Classify, Regress, GetModelMetadata, GetModelStatus) and by REST. It has no batching,
no request queue and no version policy but "the highest number". Run as a program it serves one
model until it is ended:

    python -m tests.serving.stand_in_server saved_models/mine
"""

import argparse
import base64
import json
import re
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  as the server links its ops
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
HTTP = {"NOT_FOUND": 404, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504}


class Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ServedVersion:
    """One version in a Session of its own."""

    def __init__(self, folder: Path) -> None:
        graph = tf.Graph()
        with graph.as_default():
            self.session = tf.compat.v1.Session(graph=graph)
            meta_graph = tf.compat.v1.saved_model.loader.load(
                self.session, [tf.compat.v1.saved_model.tag_constants.SERVING], str(folder)
            )
        self.signatures = meta_graph.signature_def

    def run(self, name: str, inputs: dict[str, Any], method: str = "") -> dict[str, np.ndarray]:
        if name not in self.signatures:
            raise Refused("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        signature = self.signatures[name]
        if method and signature.method_name != method:
            raise Refused(
                "INVALID_ARGUMENT",
                f"Expected signature method_name to be {method}. Was: {signature.method_name}",
            )
        if set(inputs) != set(signature.inputs):
            raise Refused(
                "INVALID_ARGUMENT",
                f"input keys {sorted(inputs)} do not match the signature's "
                f"{sorted(signature.inputs)}",
            )
        for key, value in inputs.items():
            expected = tf.dtypes.as_dtype(signature.inputs[key].dtype)
            if tf.dtypes.as_dtype(np.asarray(value).dtype) != expected:
                raise Refused(
                    "INVALID_ARGUMENT", f"input {key} is {value.dtype}, expected {expected.name}"
                )
        feed = {signature.inputs[key].name: value for key, value in inputs.items()}
        fetch = {key: info.name for key, info in signature.outputs.items()}
        try:
            return self.session.run(fetch, feed)
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
            raise Refused("INVALID_ARGUMENT", str(error).splitlines()[0]) from error


class StandInServer:
    """Serves models over gRPC and REST until it is closed.

    Args:
        models: folder of versions by the model's name.
    """

    def __init__(self, models: dict[str, Path]) -> None:
        self.models = {
            name: {int(p.name): ServedVersion(p) for p in path.iterdir() if p.name.isdecimal()}
            for name, path in models.items()
        }
        self._grpc = grpc.server(
            futures.ThreadPoolExecutor(4),
            options=[("grpc.max_receive_message_length", 1 << 28)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            _Predictions(self), self._grpc
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(self), self._grpc)
        self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._grpc.start()
        handler = type("Handler", (_Rest,), {"server_models": self})
        self._rest = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.rest_port = self._rest.server_address[1]
        threading.Thread(target=self._rest.serve_forever, daemon=True).start()

    def version(self, name: str, number: int | None) -> tuple[int, ServedVersion]:
        versions = self.models.get(name, {})
        number = max(versions, default=None) if number is None else number
        if number not in versions:
            raise Refused("NOT_FOUND", f"Servable not found for request: {name}:{number}")
        return number, versions[number]

    def close(self) -> None:
        self._grpc.stop(0).wait()
        self._rest.shutdown()
        self._rest.server_close()


def _of_spec(server: StandInServer, spec: Any) -> tuple[int, ServedVersion]:
    return server.version(spec.name, spec.version.value if spec.HasField("version") else None)


def _answers(method: Any) -> Any:
    """A method whose refusals become gRPC's status."""

    def wrapped(self: Any, request: Any, context: Any) -> Any:
        try:
            return method(self, request)
        except Refused as error:
            context.abort(grpc.StatusCode[error.code], str(error))

    return wrapped


class _Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, server: StandInServer) -> None:
        self.server = server

    @_answers
    def Predict(self, request: Any) -> Any:
        number, version = _of_spec(self.server, request.model_spec)
        try:
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        except (ValueError, TypeError) as error:
            raise Refused("INVALID_ARGUMENT", f"a tensor cannot be read: {error}") from error
        name = request.model_spec.signature_name or "serving_default"
        outputs = version.run(name, inputs)
        answer = predict_pb2.PredictResponse()
        answer.model_spec.name, answer.model_spec.version.value = request.model_spec.name, number
        answer.model_spec.signature_name = name
        wanted = request.output_filter or outputs
        for key in wanted:
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key]))
        return answer

    @_answers
    def Classify(self, request: Any) -> Any:
        outputs = self._of_examples(request, CLASSIFY)
        answer = classification_pb2.ClassificationResponse()
        for classes, scores in zip(outputs["classes"], outputs["scores"], strict=True):
            row = answer.result.classifications.add()
            for label, score in zip(classes, scores, strict=True):
                row.classes.add(label=label.decode(), score=float(score))
        return answer

    @_answers
    def Regress(self, request: Any) -> Any:
        self._of_examples(request, REGRESS)

    def _of_examples(self, request: Any, method: str) -> dict[str, np.ndarray]:
        _, version = _of_spec(self.server, request.model_spec)
        examples = [e.SerializeToString() for e in request.input.example_list.examples]
        if not examples:
            raise Refused("INVALID_ARGUMENT", "Input is empty.")
        name = request.model_spec.signature_name or "serving_default"
        return version.run(name, {"inputs": np.array(examples, object)}, method)

    @_answers
    def GetModelMetadata(self, request: Any) -> Any:
        if list(request.metadata_field) != ["signature_def"]:
            raise Refused("INVALID_ARGUMENT", "Metadata field must be signature_def")
        number, version = _of_spec(self.server, request.model_spec)
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in version.signatures.items():
            found.signature_def[name].CopyFrom(signature)
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.name, answer.model_spec.version.value = request.model_spec.name, number
        answer.metadata["signature_def"].Pack(found)
        return answer


class _Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, server: StandInServer) -> None:
        self.server = server

    @_answers
    def GetModelStatus(self, request: Any) -> Any:
        return status(self.server, request.model_spec.name)


def status(server: StandInServer, name: str) -> Any:
    if name not in server.models:
        raise Refused("NOT_FOUND", f"Could not find any versions of model {name}")
    answer = get_model_status_pb2.GetModelStatusResponse()
    for number in server.models[name]:
        one = answer.model_version_status.add(
            version=number, state=get_model_status_pb2.ModelVersionStatus.AVAILABLE
        )
        one.status.SetInParent()
    return answer


class _Rest(BaseHTTPRequestHandler):
    server_models: StandInServer
    protocol_version = "HTTP/1.1"
    PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata|:predict|:classify)?$")

    def do_GET(self) -> None:
        self._reply(self._get)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._reply(lambda *parts: self._post(body, *parts))

    def log_message(self, *_: Any) -> None:
        pass

    def _reply(self, function: Any) -> None:
        try:
            found = self.PATH.match(self.path)
            if not found:
                raise Refused("INVALID_ARGUMENT", f"Malformed request: {self.path}")
            name, version, action = found.groups()
            answer, code = function(name, version and int(version), action), 200
        except Refused as error:
            answer, code = {"error": str(error)}, HTTP.get(error.code, 400)
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _get(self, name: str, version: int | None, action: str | None) -> Any:
        if action is None:
            return json_format.MessageToDict(
                status(self.server_models, name), preserving_proto_field_name=True
            )
        number, served = self.server_models.version(name, version)
        signatures = {
            key: json_format.MessageToDict(one, preserving_proto_field_name=True)
            for key, one in served.signatures.items()
        }
        return {
            "model_spec": {"name": name, "version": str(number)},
            "metadata": {"signature_def": {"signature_def": signatures}},
        }

    def _post(self, body: bytes, name: str, version: int | None, action: str | None) -> Any:
        _, served = self.server_models.version(name, version)
        try:
            request = json.loads(body)
            key = request.get("signature_name", "serving_default")
            if action == ":classify":
                return self._classify(served, key, request)
            by_row = "instances" in request
            columns = _columns(served, key, request)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
        outputs = {k: _plain(v) for k, v in served.run(key, columns).items()}
        single = next(iter(outputs.values())) if len(outputs) == 1 else None
        if not by_row:
            return {"outputs": outputs if single is None else single}
        if single is not None:
            return {"predictions": single}
        rows = zip(*outputs.values(), strict=True)
        return {"predictions": [dict(zip(outputs, row, strict=True)) for row in rows]}

    def _classify(self, served: ServedVersion, key: str, request: Any) -> Any:
        examples = []
        for values in request["examples"]:
            example = tf.train.Example()
            for feature, text in values.items():
                example.features.feature[feature].bytes_list.value.append(_text(text))
            examples.append(example.SerializeToString())
        outputs = served.run(key, {"inputs": np.array(examples, object)}, CLASSIFY)
        pairs = zip(_plain(outputs["classes"]), _plain(outputs["scores"]), strict=True)
        return {"results": [[list(one) for one in zip(*row, strict=True)] for row in pairs]}


def _columns(served: ServedVersion, key: str, request: Any) -> dict[str, np.ndarray]:
    inputs = served.signatures[key].inputs if key in served.signatures else {}
    if "instances" in request:
        rows = request["instances"]
        if len(inputs) == 1 and not (isinstance(rows[0], dict) and set(rows[0]) == set(inputs)):
            columns = {next(iter(inputs)): rows}
        else:
            columns = {name: [row[name] for row in rows] for name in rows[0]}
    else:
        given = request["inputs"]
        is_named = isinstance(given, dict) and "b64" not in given
        columns = given if is_named else {next(iter(inputs)): given}
    found = {}
    for name, values in columns.items():
        if name in inputs and inputs[name].dtype != tf.string.as_datatype_enum:
            found[name] = np.array(values, tf.dtypes.as_dtype(inputs[name].dtype).as_numpy_dtype)
        else:
            found[name] = np.array([_text(value) for value in values], object)
    return found


def _text(value: Any) -> bytes:
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no string")
    return value.encode()


def _plain(array: np.ndarray) -> Any:
    if array.dtype == object:
        return (
            np.vectorize(bytes.decode, otypes=[object])(array).tolist()
            if array.size
            else (array.tolist())
        )
    return array.tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description="Stand in for TensorFlow Serving.")
    parser.add_argument("folder", type=Path, help="the model's folder, with its versions")
    folder = parser.parse_args().folder
    server = StandInServer({folder.name: folder})
    print(json.dumps({"grpc": server.grpc_port, "rest": server.rest_port}), flush=True)
    sys.stdin.read()
    server.close()


if __name__ == "__main__":
    main()

"""Requests that a server runs before it says that it is ready."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
)

from hierbert_tf.serving.endpoint import CLASSIFY, Endpoint

# Fixed by TensorFlow Serving, as the folder `assets.extra`.
WARMUP_FILE = "tf_serving_warmup_requests"


def write_warmup_requests(path: str | Path, model_name: str, endpoints: Sequence[Endpoint]) -> int:
    """Writes the requests of all endpoints as a TFRecord file of `PredictionLog`s.

    A server that finds it in `assets.extra` runs each request before it takes others, so that the
    first user does not wait for what TensorFlow does once for each graph and kind of shape.

    Args:
        path: the file.
        model_name: as the server will call the model; it takes the records whatever it is.
        endpoints: of the export.

    Returns:
        How many records there are; a server takes up to 1,000.
    """
    records = [
        _record(model_name, endpoint, request)
        for endpoint in endpoints
        for request in endpoint.requests()
    ]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record.SerializeToString())
    return len(records)


def read_warmup_requests(path: str | Path) -> Iterator[prediction_log_pb2.PredictionLog]:
    """Reads the file back, record by record."""
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        yield prediction_log_pb2.PredictionLog.FromString(record)


def _record(
    model_name: str, endpoint: Endpoint, request: dict[str, np.ndarray]
) -> prediction_log_pb2.PredictionLog:
    model = model_pb2.ModelSpec(name=model_name, signature_name=endpoint.name)
    if endpoint.method == CLASSIFY:
        classify = classification_pb2.ClassificationRequest(model_spec=model)
        for example in request["inputs"]:
            classify.input.example_list.examples.add().ParseFromString(example)
        return prediction_log_pb2.PredictionLog(
            classify_log=prediction_log_pb2.ClassifyLog(request=classify)
        )
    predict = predict_pb2.PredictRequest(model_spec=model)
    for name, value in request.items():
        predict.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=predict)
    )

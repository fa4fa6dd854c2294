"""Clients of an export behind TensorFlow Serving: `GrpcClient` and `RestClient`.

Both have `embed`, `classify`, `answer`, `fill_mask`, `predict`, `status`, `signatures` and `ready`;
what goes wrong is a `ServingError`. See docs/serving.md.
"""

from hierbert_tf.serving.base_client import Client, ServingError, Signature, TensorInfo
from hierbert_tf.serving.grpc_client import GrpcClient
from hierbert_tf.serving.rest_client import RestClient

__all__ = ["Client", "GrpcClient", "RestClient", "ServingError", "Signature", "TensorInfo"]

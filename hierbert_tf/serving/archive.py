"""Endpoints to a SavedModel."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from hierbert_tf.serving.endpoint import PREDICT, Endpoint


def write_saved_model(folder: str | Path, endpoints: Sequence[Endpoint]) -> None:
    """Writes a SavedModel with a signature for each endpoint.

    Args:
        folder: does not exist yet.
        endpoints: the first is `serving_default` too.

    Raises:
        OSError: the folder cannot be written.
    """
    archive = keras.export.ExportArchive()
    for endpoint in endpoints:
        archive.add_endpoint(endpoint.name, endpoint.__call__, list(endpoint.inputs))
    try:
        archive.write_out(str(folder), verbose=False)
    except tf.errors.OpError as error:
        raise OSError(None, error.message, str(folder)) from error
    # TensorFlow 2 writes every signature as one of Predict.
    others = {one.name: one.method for one in endpoints if one.method != PREDICT}
    if others:
        updater: Any = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
        for name, method in others.items():
            updater.replace_method_name(signature_key=name, method_name=method, tags="serve")
        updater.save()

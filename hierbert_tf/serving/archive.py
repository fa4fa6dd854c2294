"""Endpoints to a SavedModel."""

from collections.abc import Sequence
from pathlib import Path

import keras

from hierbert_tf.serving.endpoint import Endpoint


def write_saved_model(folder: str | Path, endpoints: Sequence[Endpoint]) -> None:
    """Writes a SavedModel with a signature for each endpoint.

    Args:
        folder: does not exist yet.
        endpoints: the first is `serving_default` too.
    """
    archive = keras.export.ExportArchive()
    for endpoint in endpoints:
        archive.add_endpoint(endpoint.name, endpoint.__call__, list(endpoint.inputs))
    archive.write_out(str(folder), verbose=False)

"""Whether an export gives what the model in memory gives."""

import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hierbert_tf.errors import RunStopped
from hierbert_tf.serving import fresh_process
from hierbert_tf.serving.endpoint import Endpoint

# Floats may differ by rounding: a sum in another order. Probabilities and vectors are about 1.
TOLERANCE = 1e-4

ODD_TEXTS = (
    "", "   ", "\n\t", "a", "🙂👩‍👩‍👧", "e\u0301 a\u0308", "北京大学", "שלום עולם", "مرحبا",
    "a\0b", "\u200b\u00ad", "x" * 300, "word " * 2000, "[MASK] [SEP] [CLS]", "ﬁ ß İ",
)  # fmt: skip
ODD_BYTES = (b"\xff\xfe", b"caf\xc3", b"\xed\xa0\x80 a", b"a\x80b [MASK]")


def run_in_fresh_process(
    folder: Path, requests: Sequence[tuple[str, dict[str, np.ndarray]]]
) -> list[dict[str, np.ndarray]]:
    """Runs signatures in a process that imports TensorFlow and TensorFlow Text alone.

    Args:
        folder: the SavedModel.
        requests: name of a signature, and its inputs by name.

    Returns:
        The outputs of each, by name.

    Raises:
        RunStopped: the process failed.
    """
    with tempfile.TemporaryDirectory() as place:
        asked, answered = Path(place) / "requests", Path(place) / "results"
        asked.write_bytes(pickle.dumps(list(requests)))
        # `-P`: the folder of the script is no place to import from.
        command = [sys.executable, "-P", fresh_process.__file__, folder, asked, answered]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RunStopped(f"the export {folder} cannot be used in a fresh process: {last}")
        return pickle.loads(answered.read_bytes())


def check_export(folder: Path, endpoints: Sequence[Endpoint]) -> tuple[int, float]:
    """Compares an export, in a fresh process, with the endpoints in memory.

    Args:
        folder: the SavedModel.
        endpoints: made from the model whose weights the export has.

    Returns:
        Number of requests, and the largest difference of a float.

    Raises:
        RunStopped: an output is missing, a string or a number of a different kind differs, or a
            float by more than 1e-4.
    """
    requests = [
        (endpoint, request)
        for endpoint in endpoints
        for request in [*endpoint.requests(), *_odd_requests(endpoint)]
    ]
    found = run_in_fresh_process(folder, [(one.name, inputs) for one, inputs in requests])
    largest = 0.0
    for (endpoint, inputs), theirs in zip(requests, found, strict=True):
        ours = endpoint(*(inputs[spec.name] for spec in endpoint.inputs))
        if set(ours) != set(theirs):
            raise RunStopped(f"the export's {endpoint.name} gives {sorted(theirs)} only")
        for name, value in ours.items():
            difference = _difference(np.asarray(value), theirs[name])
            if not difference <= TOLERANCE:
                raise RunStopped(
                    f"the export's {endpoint.name} gives another {name} than the model in memory "
                    f"(largest difference {difference:.3g}); the export was not kept"
                )
            largest = max(largest, difference)
    return len(requests), largest


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape != theirs.shape:
        return np.inf
    if ours.dtype.kind != "f":
        return 0.0 if np.array_equal(ours, theirs) else np.inf
    # Not where they are equal: infinities are among them.
    differences = np.subtract(ours, theirs, out=np.zeros_like(ours), where=ours != theirs)
    return float(np.abs(differences).max(initial=0))


def _odd_requests(endpoint: Endpoint) -> list[dict[str, np.ndarray]]:
    """Texts that nobody expects, where an endpoint takes strings."""
    if any(spec.dtype != "string" or spec.name == "inputs" for spec in endpoint.inputs):
        return []
    texts = [text.encode() for text in ODD_TEXTS] + list(ODD_BYTES)
    columns = [np.array(texts[n:] + texts[:n], object) for n in range(len(endpoint.inputs))]
    names = [spec.name for spec in endpoint.inputs]
    return [dict(zip(names, columns, strict=True))]

"""A client over REST."""

import base64
import functools
import json
import time
import urllib.error
import urllib.request
from typing import Any

import numpy as np

from hierbert_tf.errors import InputError
from hierbert_tf.serving.base_client import Client, ServingError, Signature, TensorInfo, as_array

_DTYPES = {
    "DT_STRING": "object", "DT_FLOAT": "float32", "DT_INT32": "int32", "DT_INT64": "int64",
    "DT_DOUBLE": "float64", "DT_BOOL": "bool",
}  # fmt: skip
_CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


class RestClient(Client):
    """Asks over REST, port 8501 of TensorFlow Serving; goes through any HTTP proxy.

    Args:
        address: such as `http://127.0.0.1:8501`.
        model: the model's name on the server.
        version: a version's number; None: the server's current one.
        timeout: seconds that a call may take, with all its tries.
        retries: further tries after "unavailable".
        form: of a request, `inputs` (a column for each input) or `instances` (an object for each
            row).

    Raises:
        InputError: another form, or an address without `http://` or `https://`.

    Example:

    >>> RestClient("http://127.0.0.1:1", "mine", timeout=0.5, retries=0).ready()
    False
    """

    def __init__(
        self,
        address: str,
        model: str,
        version: int | None = None,
        timeout: float = 10.0,
        retries: int = 3,
        form: str = "inputs",
    ) -> None:
        super().__init__(address.rstrip("/"), model, version, timeout, retries)
        if form not in ("inputs", "instances"):
            raise InputError(f"form is {form!r}; choose inputs or instances")
        if not address.startswith(("http://", "https://")):
            raise InputError(f"the address is {address!r}; give it with http:// or https://")
        self.form = form
        version_part = "" if version is None else f"/versions/{version}"
        self._url = f"{self.address}/v1/models/{model}{version_part}"

    def predict(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Runs a signature; see `Client.predict`."""
        columns = {name: _to_json(as_array(values)) for name, values in inputs.items()}
        body: dict[str, Any] = {"signature_name": signature}
        if self.form == "inputs":
            body["inputs"] = columns
        else:
            rows = zip(*columns.values(), strict=True)
            body["instances"] = [dict(zip(columns, row, strict=True)) for row in rows]
        answer = self._call(f"{self._url}:predict", body)
        infos = self._outputs(signature)
        if self.form == "inputs":
            found = answer["outputs"]
            # A single output comes without its name.
            named = found if len(infos) > 1 else {next(iter(infos)): found}
        else:
            found = answer["predictions"]
            only = next(iter(infos)) if len(infos) == 1 else None
            named = {
                name: found if name == only else [row[name] for row in found] for name in infos
            }
        return {name: _from_json(named[name], info) for name, info in infos.items()}

    def status(self) -> dict[int, str]:
        """The versions and their states."""
        found = self._call(self._url)["model_version_status"]
        return {int(one["version"]): one["state"] for one in found}

    def signatures(self) -> dict[str, Signature]:
        """The model's signatures by name."""
        found = self._call(f"{self._url}/metadata")["metadata"]["signature_def"]["signature_def"]
        return {
            name: Signature(_tensors(one["inputs"]), _tensors(one["outputs"]))
            for name, one in found.items()
            if not name.startswith("__")
        }

    @functools.cached_property
    def _signatures(self) -> dict[str, Signature]:
        return self.signatures()

    def _outputs(self, signature: str) -> dict[str, TensorInfo]:
        return self._signatures[signature].outputs

    def _call(self, url: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        end = time.monotonic() + self.timeout
        for attempt in range(self.retries + 1):
            pause = 0.1 * 2**attempt
            try:
                left = max(end - time.monotonic(), 0.001)
                with urllib.request.urlopen(request, timeout=left) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                failure = self._refused(error)
            except TimeoutError:
                failure = self._too_late()
            except (urllib.error.URLError, ConnectionError) as error:
                if isinstance(getattr(error, "reason", None), TimeoutError):
                    failure = self._too_late()
                else:
                    failure = ServingError(
                        f"no server answers at {self.address}: start it, or give its address",
                        "UNAVAILABLE",
                    )
            except ValueError as error:
                raise ServingError(
                    f"what answers at {self.address} is no TensorFlow Serving: no JSON came",
                    "INTERNAL",
                ) from error
            if failure.code != "UNAVAILABLE" or attempt == self.retries:
                break
            if time.monotonic() + pause >= end:
                break
            time.sleep(pause)
        raise failure

    def _refused(self, error: urllib.error.HTTPError) -> ServingError:
        code = _CODES.get(error.code, "UNKNOWN")
        text = error.read().decode("utf-8", "replace")
        try:
            details = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            details = text.strip() or error.reason
        if code == "NOT_FOUND":
            return ServingError(f"there is no {self._where()}: {details}", code)
        return ServingError(f"{self._where()} refused the request ({code}): {details}", code)

    def _too_late(self) -> ServingError:
        return ServingError(
            f"{self._where()} did not answer within {self.timeout:g} s: give a longer timeout, or "
            "fewer or shorter texts",
            "DEADLINE_EXCEEDED",
        )


def _to_json(array: np.ndarray) -> Any:
    if array.dtype != object:
        return array.tolist()
    if array.ndim > 1:
        return [_to_json(row) for row in array]
    return [_text_to_json(text) for text in array]


def _text_to_json(text: bytes) -> Any:
    """A string; TensorFlow Serving's object of base64 for bytes that are no UTF-8."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(text).decode()}


def _from_json(values: Any, info: TensorInfo) -> np.ndarray:
    if info.dtype != "object":
        return np.asarray(values, info.dtype)
    flat = np.asarray(values, object)
    array = np.empty(flat.shape, object)
    array.ravel()[:] = [
        base64.b64decode(text["b64"]) if isinstance(text, dict) else text.encode()
        for text in flat.ravel()
    ]
    return array


def _tensors(infos: Any) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(
            _DTYPES.get(info["dtype"], info["dtype"]),
            tuple(int(one["size"]) for one in info["tensor_shape"].get("dim", [])),
        )
        for name, info in infos.items()
    }

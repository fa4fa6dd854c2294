"""What the clients of an export have in common.

Dimension letters: B batch, H hidden, M masks.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierbert_tf.errors import InputError

Texts = Sequence[str | bytes]


class ServingError(Exception):
    """A server did not do what it was asked; the message says what to do.

    Args:
        message: for a person.
        code: gRPC's name of the status, such as `NOT_FOUND`.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a signature.

    Args:
        dtype: NumPy's name, `object` for strings.
        shape: -1 where any size goes.
    """

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """A signature as the server tells it.

    Args:
        inputs: by name.
        outputs: by name.
    """

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]


class Client(ABC):
    """Asks a model behind TensorFlow Serving; texts in, texts and numbers out.

    Args:
        address: of the server.
        model: the model's name there.
        version: a version's number; None: the one that the server holds to be current.
        timeout: seconds that a call may take, with all its tries.
        retries: further tries after "unavailable". Safe, since no call changes anything.

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(
        self,
        address: str,
        model: str,
        version: int | None = None,
        timeout: float = 10.0,
        retries: int = 3,
    ) -> None:
        if timeout <= 0 or retries < 0:
            raise InputError(f"timeout {timeout} must be above 0 and retries {retries} at least 0")
        self.address = address
        self.model = model
        self.version = version
        self.timeout = timeout
        self.retries = retries

    # === What each protocol does its own way ===

    @abstractmethod
    def predict(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: its name, such as `embed`.
            **inputs: lists or arrays by name; strings as `str` or `bytes`.

        Returns:
            Arrays by name, strings as arrays of `bytes`.

        Raises:
            ServingError: the server is not there, refuses, or takes too long.
        """

    @abstractmethod
    def status(self) -> dict[int, str]:
        """The versions that the server knows, with their states, such as `AVAILABLE`."""

    @abstractmethod
    def signatures(self) -> dict[str, Signature]:
        """The model's signatures by name."""

    # === The signatures of this package's exports ===

    def ready(self) -> bool:
        """Whether a version can be asked now; False too where there is no server."""
        try:
            return "AVAILABLE" in self.status().values()
        except ServingError:
            return False

    def embed(self, texts: Texts) -> np.ndarray:
        """Sentence vectors of texts [B]: float32 [B, H]."""
        return self.predict("embed", text=_listed(texts))["embedding"]

    def classify(self, texts: Texts, text_pairs: Texts | None = None) -> list[dict[str, Any]]:
        """Classifies texts [B], or pairs.

        Args:
            texts: the only or the first texts (premises, questions).
            text_pairs: the second ones, for a model of pairs.

        Returns:
            For each `label`, `probability`, `margin` (to the next one), and `probabilities` of all
            labels by label.
        """
        inputs = {"text": _listed(texts)}
        if text_pairs is not None:
            inputs["text_pair"] = _listed(text_pairs)
        found = self.predict("classify", **inputs)
        return [
            {
                "label": label.decode(),
                "probability": float(probabilities.max()),
                "margin": float(margin),
                "probabilities": {
                    name.decode(): float(value)
                    for name, value in zip(names, probabilities, strict=True)
                },
            }
            for label, probabilities, margin, names in zip(
                *(found[name] for name in ("label", "probabilities", "margin", "labels")),
                strict=True,
            )
        ]

    def answer(self, questions: Texts, contexts: Texts) -> list[dict[str, Any]]:
        """Answers questions [B] from their contexts [B].

        Returns:
            For each `answer` (`""`: none), `start` and `end` (characters of the context, -1: none),
            `score` and `null_score`.
        """
        found = self.predict("answer", question=_listed(questions), context=_listed(contexts))
        kinds: dict[str, Callable[[Any], Any]] = {"answer": bytes.decode, "start": int, "end": int,
                 "score": float, "null_score": float}  # fmt: skip
        columns = [[kind(value) for value in found[name]] for name, kind in kinds.items()]
        return [dict(zip(kinds, row, strict=True)) for row in zip(*columns, strict=True)]

    def fill_mask(self, texts: Texts) -> list[list[list[dict[str, Any]]]]:
        """Fills the [MASK]s of texts [B].

        Returns:
            For each text, for each of its masks, the best tokens: `token` and `probability`.
        """
        found = self.predict("fill_mask", text=_listed(texts))
        tokens, probabilities = found["token"], found["probability"]
        return [
            [
                [
                    {"token": token.decode(), "probability": float(value)}
                    for token, value in zip(*mask, strict=True)
                ]
                # The most masks of a text in the batch set the width; what is beyond is empty.
                for mask in zip(*row, strict=True)
                if mask[1].any()
            ]
            for row in zip(tokens, probabilities, strict=True)
        ]

    def _where(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        return f"model {self.model!r}{version} at {self.address}"


def _listed(texts: Texts) -> list[str | bytes]:
    if isinstance(texts, str | bytes):
        raise InputError("a single text was given: put it into a list.")
    return list(texts)


def as_array(values: Any) -> np.ndarray:
    """An array for a request: strings as `bytes`, Python's numbers as float32 or int32.

    Raises:
        InputError: rows of unequal length, or values that are no strings or numbers.
    """
    # As objects first: NumPy's own strings are ASCII alone, or lose NULs at the end.
    objects = values if isinstance(values, np.ndarray) else np.asarray(values, object)
    if objects.dtype.kind in "USO" and any(isinstance(x, str | bytes) for x in objects.flat):
        array = np.empty(objects.shape, object)
        array.ravel()[:] = [_encoded(text) for text in objects.flat]
        return array
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"an input's rows must be of equal length: {error}") from error
    if array.dtype == np.float64:
        return array.astype(np.float32)
    return array.astype(np.int32) if array.dtype == np.int64 else array


def _encoded(text: Any) -> bytes:
    if isinstance(text, str):
        # A lone surrogate has no UTF-8.
        return text.encode("utf-8", "replace")
    if isinstance(text, bytes):
        return text
    raise InputError(f"an input holds {text!r}, which is neither text nor a number")

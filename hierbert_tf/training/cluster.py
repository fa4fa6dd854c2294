"""Which workers train together, and which of them this process is."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hierbert_tf.errors import InputError

TF_CONFIG = "TF_CONFIG"
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\],]+):(\d{1,5})")


@dataclass(frozen=True)
class Cluster:
    """The workers of a run. Worker 0 is the chief: it prepares the text and writes everything.

    Args:
        addresses: `host:port` of every worker, the same list on all of them.
        index: which of them this process is.

    Raises:
        InputError: an address is not `host:port` or occurs twice, or there is no such worker.

    Example:

    >>> cluster = Cluster(("10.0.0.1:2222", "10.0.0.2:2222"), 1)
    >>> cluster.is_chief, cluster.name(0)
    (False, 'worker 0 (10.0.0.1:2222)')
    """

    addresses: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        if not self.addresses:
            raise InputError("--workers is empty; give host:port of every worker.")
        for address in self.addresses:
            found = _ADDRESS.fullmatch(address)
            if not found or not 0 < int(found[2]) < 1 << 16:
                raise InputError(f"the worker {address!r} is not host:port, such as 10.0.0.1:2222.")
            if self.addresses.count(address) > 1:
                raise InputError(f"the worker {address!r} occurs twice; give each its own port.")
        if not 0 <= self.index < len(self.addresses):
            raise InputError(
                f"there is no worker {self.index} among {len(self.addresses)}; --worker-index "
                f"counts from 0 to {len(self.addresses) - 1}."
            )

    @classmethod
    def from_arguments(
        cls, workers: str, index: int | None, environment: Mapping[str, str] = os.environ
    ) -> "Cluster":
        """The cluster of `--workers` and `--worker-index`, else of `TF_CONFIG`.

        Args:
            workers: `host:port,host:port,...`; empty: read `TF_CONFIG`.
            index: this worker's number.
            environment: holds `TF_CONFIG`.

        Raises:
            InputError: neither is given, or one is wrong.

        Example:

        >>> Cluster.from_arguments("a:1, b:1", 1).addresses
        ('a:1', 'b:1')
        """
        if workers:
            if index is None:
                raise InputError("--workers needs --worker-index: which of them is this process?")
            return cls(tuple(part.strip() for part in workers.split(",")), index)
        if index is not None:
            raise InputError("--worker-index needs --workers.")
        return cls.from_tf_config(environment.get(TF_CONFIG, ""))

    @classmethod
    def from_tf_config(cls, text: str) -> "Cluster":
        """The cluster of a `TF_CONFIG`; a `chief` in it becomes worker 0.

        Args:
            text: JSON: `{"cluster": {"worker": [...]}, "task": {"type": "worker", "index": 0}}`.

        Raises:
            InputError: it is missing, no such JSON, or has parameter servers.

        Example:

        >>> Cluster.from_tf_config(Cluster(("a:1", "b:1"), 1).to_tf_config()).index
        1
        """
        if not text:
            raise InputError(
                "--strategy multi_worker needs --workers host:port,... and --worker-index, or the "
                "variable TF_CONFIG."
            )
        try:
            config = json.loads(text)
            jobs, kind = config["cluster"], config["task"]["type"]
            index = int(config["task"]["index"])
            chiefs, workers = _list(jobs.get("chief")), _list(jobs.get("worker"))
            others = sorted(name for name in jobs if name not in ("chief", "worker"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"TF_CONFIG is not as TensorFlow describes it ({type(error).__name__}: {error}); "
                "it holds cluster.worker, task.type and task.index."
            ) from error
        if others or kind not in ("chief", "worker") or len(chiefs) > 1:
            raise InputError(
                f"TF_CONFIG has jobs {', '.join(sorted(jobs))} and this is a {kind!r}; only workers"
                " and one chief train together here."
            )
        if kind == "chief" and not chiefs:
            raise InputError("TF_CONFIG: this is the chief, but cluster.chief is missing.")
        # An index past the end must not point into the other list.
        own = chiefs if kind == "chief" else workers
        if not 0 <= index < len(own):
            raise InputError(f"TF_CONFIG: task.index {index} is none of the {len(own)} of {kind}.")
        return cls((*chiefs, *workers), index + (len(chiefs) if kind == "worker" else 0))

    def to_tf_config(self) -> str:
        """The `TF_CONFIG` that TensorFlow reads."""
        return json.dumps(
            {
                "cluster": {"worker": list(self.addresses)},
                "task": {"type": "worker", "index": self.index},
            }
        )

    @property
    def size(self) -> int:
        """Number of workers."""
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        """This process is worker 0."""
        return self.index == 0

    def name(self, index: int) -> str:
        """What messages call a worker."""
        return f"worker {index} ({self.addresses[index]})"

    def host_port(self, index: int) -> tuple[str, int]:
        """Host and port of a worker, for sockets.

        Example:

        >>> Cluster(("[::1]:2222",), 0).host_port(0)
        ('::1', 2222)
        """
        host, _, port = self.addresses[index].rpartition(":")
        return host.strip("[]"), int(port)


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("the addresses of a job are a list of texts")
    return value

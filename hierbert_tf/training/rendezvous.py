"""Workers find each other before TensorFlow looks for them, which it does for as long as it takes.

A missing worker makes TensorFlow wait for over ten minutes, deaf to signals. So the workers first
meet on the very ports that TensorFlow will use: the chief listens, the others call. Only when all
are there is the strategy made. The connections stay, for what the workers tell each other later.
"""

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from hierbert_tf.errors import InputError, RunStopped
from hierbert_tf.training.cluster import Cluster
from hierbert_tf.training.line_socket import LineSocket

# A caller that says nothing for so long is no worker.
_GREETING_SECONDS = 5.0
_PAUSE = 0.2
# A former run's process on the port may be just ending.
_FORMER_OWNER_SECONDS = 10.0
_SHOWN_SETTINGS = 3


def meet(cluster: Cluster, settings: Mapping[str, Any], seconds: float) -> dict[int, LineSocket]:
    """Waits until all workers are there and have the same settings.

    Args:
        cluster: the workers.
        settings: must be the same on all workers; JSON values by dotted key.
        seconds: longest wait.

    Returns:
        Connections by the other's number: on the chief to all others, on the others to the chief.

    Raises:
        RunStopped: a worker did not come up in time, or was refused.
        InputError: the settings differ, two processes are the same worker, or a port is in use.
    """
    deadline = time.monotonic() + seconds
    # As JSON gives them back, so that they can be compared.
    settings = {str(key): _plain(value) for key, value in settings.items()}
    if cluster.is_chief:
        return _gather(cluster, settings, deadline, seconds)
    with _listener(cluster, deadline):
        pass  # the port is free: TensorFlow's own words about one that is not are no help
    return {0: _call(cluster, settings, deadline, seconds)}


def _gather(
    cluster: Cluster, settings: dict[str, Any], deadline: float, seconds: float
) -> dict[int, LineSocket]:
    """The chief's side."""
    there: dict[int, LineSocket] = {}
    try:
        with _listener(cluster, deadline) as listener:
            while missing := [i for i in range(1, cluster.size) if i not in there]:
                listener.settimeout(max(0.01, deadline - time.monotonic()))
                try:
                    caller = LineSocket(listener.accept()[0])
                except TimeoutError:
                    names = " and ".join(map(cluster.name, missing))
                    raise RunStopped(
                        f"{names} did not come up within {seconds:.0f} s; start every worker with "
                        "the same --workers and its own --worker-index, and see that their ports "
                        "can be reached."
                    ) from None
                _admit(caller, cluster, settings, there)
    except (InputError, RunStopped) as error:
        for worker in there.values():
            worker.send({"refused": f"{cluster.name(0)} stopped: {error}"})
            worker.close()
        raise
    # The listener is closed: TensorFlow has the port when the others hear that they may go on.
    for worker in there.values():
        worker.send({"go": True})
    return there


def _admit(
    caller: LineSocket, cluster: Cluster, settings: dict[str, Any], there: dict[int, LineSocket]
) -> None:
    """Takes a worker in, if it is one."""
    hello = caller.receive(_GREETING_SECONDS)
    if not isinstance(hello, dict) or hello.get("worker") not in range(1, cluster.size):
        caller.close()
        return
    index = hello["worker"]
    name = cluster.name(index)
    problem = None
    if hello.get("addresses") != list(cluster.addresses):
        problem = f"{name} was given other --workers than {cluster.name(0)}; give all the same."
    elif index in there and not _is_gone(there[index]):
        problem = f"two processes are {name}; give each worker its own --worker-index."
    elif differing := _differences(settings, hello.get("settings") or {}):
        problem = (
            f"{name} was started with other settings than {cluster.name(0)}: {differing}; start "
            "all workers with the same."
        )
    if problem:
        caller.send({"refused": problem})
        caller.close()
        raise InputError(problem)
    there[index] = caller


def _call(
    cluster: Cluster, settings: dict[str, Any], deadline: float, seconds: float
) -> LineSocket:
    """The other workers' side."""
    reached = False
    while (left := deadline - time.monotonic()) > 0:
        chief = _connected(cluster.host_port(0), min(2.0, left))
        if chief is None:
            time.sleep(_PAUSE)
            continue
        chief.send({"worker": cluster.index, "addresses": cluster.addresses, "settings": settings})
        answer = chief.receive(max(0.01, deadline - time.monotonic()))
        if isinstance(answer, dict) and answer.get("go"):
            return chief
        chief.close()
        if isinstance(answer, dict) and "refused" in answer:
            raise RunStopped(str(answer["refused"]))
        # No worker of this run: what an earlier one left on the port, on its way to its end.
        reached = True
        time.sleep(_PAUSE)
    if reached:
        raise RunStopped(
            f"{cluster.name(0)} did not let this worker go on within {seconds:.0f} s: other "
            "workers are missing, or it is no worker of this run."
        )
    raise RunStopped(
        f"{cluster.name(0)} did not come up within {seconds:.0f} s; start every worker with the "
        "same --workers and its own --worker-index, and see that its port can be reached."
    )


def _connected(address: tuple[str, int], seconds: float) -> LineSocket | None:
    try:
        connection = socket.create_connection(address, timeout=seconds)
    except OSError:
        return None
    # On one machine a port may by chance call itself while nobody listens there.
    if connection.getsockname() == connection.getpeername():
        connection.close()
        return None
    return LineSocket(connection)


@contextlib.contextmanager
def _listener(cluster: Cluster, deadline: float) -> Iterator[socket.socket]:
    """Listens on this worker's port; waits a little for a former owner that is just ending."""
    _, port = cluster.host_port(cluster.index)
    patience = min(deadline, time.monotonic() + _FORMER_OWNER_SECONDS)
    # As TensorFlow's server does: on all interfaces, since the name may be another machine's view.
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    while True:
        try:
            listener = socket.create_server(("", port), family=family, dualstack_ipv6=dual)
            break
        except OSError as error:
            if time.monotonic() > patience:
                raise InputError(
                    f"port {port} of {cluster.name(cluster.index)} cannot be used on this machine "
                    f"({error.strerror}); end what uses it, or give another in --workers."
                ) from error
            time.sleep(_PAUSE)
    with listener:
        yield listener


def _is_gone(worker: LineSocket) -> bool:
    """Whether a worker that greeted before has died; it has nothing to say until it may go on."""
    try:
        return worker.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    shown = [f"{key} is {theirs.get(key)!r}, not {ours.get(key)!r}" for key in keys]
    more = len(shown) - _SHOWN_SETTINGS
    return ", ".join(shown[:_SHOWN_SETTINGS]) + (f" and {more} more" if more > 0 else "")

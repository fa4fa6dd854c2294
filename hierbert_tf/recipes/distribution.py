"""From the command line's words on devices to a strategy and the workers that share it."""

import argparse
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from hierbert_tf.config import RunConfig
from hierbert_tf.errors import InputError
from hierbert_tf.training.cluster import Cluster
from hierbert_tf.training.connected_workers import ConnectedWorkers, Patience, reason_to_leave
from hierbert_tf.training.rendezvous import meet
from hierbert_tf.training.signal_watch import SignalWatch
from hierbert_tf.training.strategy import (
    STRATEGIES,
    StrategyChoice,
    abort_collectives,
    check_replicas,
    make_strategy,
)
from hierbert_tf.training.worker_group import WorkerGroup


def add_strategy_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which devices a program trains on."""
    patience = Patience()
    group = parser.add_argument_group("devices", "see docs/distribute.md")
    group.add_argument("--strategy", default="one_device", choices=STRATEGIES)
    group.add_argument("--devices", type=int, default=0, metavar="N",
                       help="mirrored: N logical CPU devices, to try it out")  # fmt: skip
    group.add_argument("--workers", default="", metavar="HOST:PORT,...",
                       help="multi_worker: all, chief first; default: TF_CONFIG")  # fmt: skip
    group.add_argument("--worker-index", type=int, metavar="N", help="which of them this is")
    group.add_argument("--tpu", default="", metavar="NAME", help="tpu: its name or address")
    for name, meaning in (
        ("start", "for all workers to come up"),
        ("silence", "for a worker that does not report"),
        ("stall", "for a worker that holds up the others"),
    ):
        group.add_argument(f"--{name}-timeout", type=float, metavar="SECONDS",
                           default=getattr(patience, name),
                           help=f"longest wait {meaning}; default %(default).0f")  # fmt: skip


def strategy_choice(options: argparse.Namespace) -> StrategyChoice:
    """What the options of `add_strategy_arguments` say.

    Raises:
        InputError: the workers are wrong, or a time is not above 0.

    Example:

    >>> parser = argparse.ArgumentParser()
    >>> add_strategy_arguments(parser)
    >>> strategy_choice(parser.parse_args(["--strategy", "mirrored", "--devices", "2"])).devices
    2
    """
    times = {name: getattr(options, f"{name}_timeout") for name in ("start", "silence", "stall")}
    for name, seconds in times.items():
        if not 0 < seconds < float("inf"):
            raise InputError(f"--{name}-timeout is {seconds}, but must be above 0 seconds.")
    several = options.strategy == "multi_worker"
    cluster = None
    if several or options.workers or options.worker_index is not None:
        cluster = Cluster.from_arguments(options.workers, options.worker_index)
    return StrategyChoice(
        options.strategy, options.devices, cluster, options.tpu, Patience(**times)
    )


@contextlib.contextmanager
def distribution(
    choice: StrategyChoice, config: RunConfig, start: Any
) -> Iterator[tuple[tf.distribute.Strategy, WorkerGroup]]:
    """Context in which a run has its strategy and its workers; all of them leave it together.

    Args:
        choice: the devices, checked.
        config: the run's settings, the same on all workers but for `folder`.
        start: how the run starts, a dataclass; likewise the same.

    Yields:
        The strategy, and the group of workers.

    Raises:
        InputError: the devices or the settings do not fit.
        RunStopped: a worker did not come up, is gone, silent or stuck, or stopped.
    """
    cluster = choice.cluster
    if cluster is None or cluster.size == 1:
        strategy = make_strategy(choice)
        check_replicas(config, strategy.num_replicas_in_sync)
        yield strategy, WorkerGroup()
        return
    signals = SignalWatch()
    try:
        seconds = choice.patience.start
        others = "the others" if cluster.is_chief else cluster.name(0)
        print(
            f"{cluster.name(cluster.index)} of {cluster.size}: waiting up to {seconds:.0f} s for "
            f"{others}",
            flush=True,
        )
        connections = meet(cluster, _same_on_all(config, start), seconds)
        workers = ConnectedWorkers(cluster, connections, signals, choice.patience)
        try:
            strategy = make_strategy(choice)
            workers.abort_collectives = abort_collectives
            check_replicas(config, strategy.num_replicas_in_sync)
            yield strategy, workers
            workers.end()
        except BaseException as error:
            # A lost worker shows as an error of a collective operation.
            known = workers.failure(error) if isinstance(error, tf.errors.OpError) else error
            workers.leave(reason_to_leave(known))
            if known is error:
                raise
            raise known from error
        finally:
            workers.close()
    finally:
        signals.close()


def _same_on_all(config: RunConfig, start: Any) -> dict[str, Any]:
    """What must be the same on all workers, by dotted key."""
    settings = dict(_flat(dataclasses.asdict(config), ""))
    settings.pop("folder")  # one place may have another name on another machine
    versions = {"the version of TensorFlow": tf.__version__}
    return {**settings, **versions, **{f"--{k}": v for k, v in dataclasses.asdict(start).items()}}


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    else:
        yield key, value
        return
    for name, item in items:
        yield from _flat(item, f"{key}.{name}" if key else str(name))

"""Batches whose reading ends in a sentence instead of a traceback, and at a signal."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from hierbert_tf.errors import InputError
from hierbert_tf.training.interruption import Interruption
from hierbert_tf.training.plain_message import plain_message
from hierbert_tf.training.worker_group import WorkerGroup


class ReadingInterrupted(Exception):
    """A signal came before the last batch was read."""


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Context in which a damaged or missing shard of the prepared text is an `InputError`.

    Example:

    >>> with readable():
    ...     raise tf.errors.DataLossError(None, None, "corrupted record at 328")
    Traceback (most recent call last):
    hierbert_tf.errors.InputError: A shard of the prepared text is damaged or missing (corrupted...
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
        # TensorFlow names a missing shard, but of a damaged one only the place in it.
        raise InputError(
            f"A shard of the prepared text is damaged or missing ({plain_message(error)}); delete "
            "the run's data folder and start the same command again: it prepares the text anew."
        ) from error


def until_signal(
    batches: Iterable[Any], interruption: Interruption, workers: WorkerGroup | None = None
) -> Iterator[Any]:
    """The batches, as long as no signal comes.

    Args:
        batches: any.
        interruption: notes signals.
        workers: are told of the progress.

    Raises:
        ReadingInterrupted: a signal came.
        InputError: the prepared text is damaged.
        RunStopped: another worker is gone.

    Example:

    >>> list(until_signal([1, 2], Interruption()))
    [1, 2]
    """
    with readable():
        for batch in batches:
            if interruption.requested:
                raise ReadingInterrupted
            if workers is not None:
                workers.tick()
            yield batch

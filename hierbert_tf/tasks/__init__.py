"""The pre-training tasks, one file each: corruption, labels and head.

Every module of this folder is imported here, so a new task is one new file.
"""

import difflib
import importlib
import math
import pkgutil
from collections.abc import Sequence

from hierbert_tf.config import TaskConfig
from hierbert_tf.errors import InputError
from hierbert_tf.tasks.task import PretrainingTask, Stage

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def build_tasks(configs: Sequence[TaskConfig], layers: int) -> list[PretrainingTask]:
    """The tasks of a recipe, checked against each other and against the encoder.

    Args:
        configs: the recipe's list.
        layers: encoder blocks L.

    Returns:
        The tasks in the order of their stages (pair, order, token), else as listed.

    Raises:
        InputError: no task, an unknown or repeated name, a layer outside 0 to L, or a transfer from
            a task that is missing, above the receiver, or without a vector to give.

    Example:

    >>> tasks = build_tasks([TaskConfig("masked_lm", 4), TaskConfig("next_sentence", 2)], 4)
    >>> [task.name for task in tasks]
    ['next_sentence', 'masked_lm']
    """
    if not configs:
        raise InputError("tasks: the list is empty; name at least one task, such as masked_lm")
    tasks: list[PretrainingTask] = []
    for index, config in enumerate(configs):
        where = f"tasks[{index}]"
        if config.name not in PretrainingTask.registry:
            near = difflib.get_close_matches(config.name, PretrainingTask.registry, 1, 0.0)
            raise InputError(f"{where}.name: no task is called {config.name!r}; nearest: {near[0]}")
        if config.name in [task.name for task in tasks]:
            raise InputError(f"{where}.name: task {config.name!r} is listed twice; keep one")
        if not 0 <= config.layer <= layers:
            raise InputError(
                f"{where}.layer: task {config.name!r} is at layer {config.layer} of an encoder of "
                f"{layers} layers; choose 0 (embeddings) to {layers}"
            )
        if not 0 <= config.weight < math.inf:
            raise InputError(
                f"{where}.weight: {config.weight} is no weight; give 0 (drops the loss) or more"
            )
        tasks.append(PretrainingTask.registry[config.name].from_config(config))
    if not any(task.weight for task in tasks):
        raise InputError("tasks: every weight is 0, so nothing can be learnt; raise one")
    by_name = {task.name: task for task in tasks}
    for index, task in enumerate(tasks):
        if task.receives:
            _check_transfer(f"tasks[{index}].receives", task, by_name)
    return sorted(tasks, key=lambda task: task.stage)


def _check_transfer(where: str, task: PretrainingTask, tasks: dict[str, PretrainingTask]) -> None:
    transfer = task.receives
    assert transfer is not None
    if transfer.by not in ("concat", "add", "gate", "label_embedding"):
        raise InputError(
            f"{where}.by: {transfer.by!r} is no transfer; "
            "choose concat, add, gate or label_embedding"
        )
    if transfer.into not in ("block", "head"):
        raise InputError(f"{where}.into: {transfer.into!r} is neither block nor head")
    source = tasks.get(transfer.source)
    if source is None or source is task:
        raise InputError(
            f"{where}.from: {task.name!r} cannot receive from {transfer.source!r}; "
            f"name another listed task: {', '.join(n for n in tasks if n != task.name) or 'none'}"
        )
    if not source.pools:
        raise InputError(
            f"{where}.from: {source.name!r} has no pooled [CLS] vector to give; only "
            "sequence-level tasks have one"
        )
    if source.layer > task.layer:
        raise InputError(
            f"{where}.from: {source.name!r} is at layer {source.layer}, above {task.name!r} at "
            f"layer {task.layer}; information flows upward, so move one of them"
        )
    if transfer.into == "block" and source.layer == task.layer:
        raise InputError(
            f"{where}.into: {source.name!r} and {task.name!r} both sit at layer {task.layer}, so "
            "no encoder block lies between them; set into: head or move one of them"
        )
    for other in tasks.values():
        rival = other.receives
        if (
            rival
            and (rival.source, rival.into) == (source.name, "block")
            and transfer.into == "block"
            and (rival.by, rival.stop_gradient) != (transfer.by, transfer.stop_gradient)
        ):
            raise InputError(
                f"{where}: {task.name!r} and {other.name!r} receive from {source.name!r} into the "
                "same encoder block in two ways; give both the same by and stop_gradient"
            )
    if (
        source.receives
        and source.receives.into == "head"
        and (transfer.by, transfer.into) == ("label_embedding", "block")
    ):
        raise InputError(
            f"{where}.by: the encoder computes {source.name!r}'s labels, so what {source.name!r} "
            "receives into its head would not reach them; let it receive into: block"
        )
    giver: PretrainingTask | None = source
    for _ in tasks:
        giver = tasks.get(giver.receives.source) if giver and giver.receives else None
        if giver is task:
            raise InputError(f"{where}.from: {task.name!r} would receive from itself in the end")


__all__ = ["PretrainingTask", "Stage", "build_tasks"]

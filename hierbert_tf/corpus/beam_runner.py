"""The same tasks on Apache Beam: its local runner, Flink, Spark, Dataflow."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from hierbert_tf.corpus.runner import Done
from hierbert_tf.corpus.task import Task, run_task
from hierbert_tf.errors import InputError, RunStopped

_KINDS: dict[str, type[Exception]] = {"InputError": InputError, "RunStopped": RunStopped}


class BeamRunner:
    """Does each stage's tasks as one pipeline: `Create | Reshuffle | Map`.

    The tasks' files are their output, so that the folder of the preparation and the text must be on
    a file system that all of Beam's workers see under the same path, and the package must be
    installed there.

    Args:
        arguments: Beam's own flags, such as `["--runner=FlinkRunner", "--flink_master=host:8081"]`.

    Raises:
        InputError: Beam is not installed, or does not know a flag's value.
    """

    def __init__(self, arguments: Sequence[str] = ()):
        try:
            from apache_beam.options.pipeline_options import PipelineOptions
        except ImportError as error:
            raise InputError(
                "Apache Beam is not installed: pip install 'hierbert_tf[beam]', or give "
                "--processes instead of --runner."
            ) from error
        try:
            self._options = PipelineOptions(list(arguments))
            self._options.get_all_options()
        except SystemExit as error:  # its argument parser's, which has printed the reason
            raise InputError(f"Beam does not take {' '.join(arguments)}.") from error

    def run(self, tasks: list[Task], done: Done) -> None:
        """Does the tasks; of several errors the first task's is raised."""
        import apache_beam as beam

        for task in tasks:
            _failure(task).unlink(missing_ok=True)
        pipeline = beam.Pipeline(options=self._options)
        _ = (
            pipeline
            | "tasks" >> beam.Create(tasks)
            | "spread" >> beam.Reshuffle()
            | tasks[0].stage >> beam.Map(run_and_record)
        )
        pipeline.run().wait_until_finish()
        for task in tasks:
            if (result := task.result()) is not None:
                done(task, result)
            elif _failure(task).is_file():
                record = json.loads(_failure(task).read_text(encoding="utf-8"))
                shutil.rmtree(_failure(task).parent, ignore_errors=True)
                raise _KINDS[record["kind"]](record["message"])


def run_and_record(task: Task) -> None:
    """Does a task on one of Beam's workers; its expected errors become a file.

    A worker's exception would be tried again, and reach the user as a traceback.
    """
    try:
        run_task(task)
    except (InputError, RunStopped) as error:
        record = {"kind": type(error).__name__, "message": str(error)}
        try:
            _failure(task).parent.mkdir(parents=True, exist_ok=True)
            _failure(task).write_text(json.dumps(record), encoding="utf-8")
        except OSError:
            raise error from None


def _failure(task: Task) -> Path:
    return task.root / "failures" / f"{task.name.replace('/', '-')}.json"

"""Preparation on Beam's local runner; what the tasks do is tested without it."""

import builtins

import pytest

from hierbert_tf.corpus.beam_runner import BeamRunner, run_and_record
from hierbert_tf.corpus.task import Task
from hierbert_tf.errors import InputError, RunStopped


def write(arguments, root, folder):
    (folder / "text").write_text(arguments["text"])
    return {"bytes": len(arguments["text"])}


def fail(arguments, root, folder):
    raise (RunStopped if arguments["full"] else InputError)(f"task {arguments['number']}")


def test_without_beam(monkeypatch):
    original = builtins.__import__

    def without(name, *rest):
        if name.startswith("apache_beam"):
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'hierbert_tf\[beam\]'"):
        BeamRunner()


def test_an_expected_error_of_a_worker_becomes_a_file(tmp_path):
    task = Task(tmp_path, "a", 0, fail, {"full": True, "number": 3})
    run_and_record(task)
    (path,) = (tmp_path / "failures").iterdir()
    assert path.read_text() == '{"kind": "RunStopped", "message": "task 3"}'


class TestDirectRunner:
    @pytest.fixture(scope="class")
    def runner(self):
        pytest.importorskip("apache_beam")
        return BeamRunner(["--runner=DirectRunner"])

    def test_tasks_are_done(self, runner, tmp_path):
        tasks = [Task(tmp_path, "a", i, write, {"text": "x" * i}) for i in range(3)]
        done = []
        runner.run(tasks, lambda task, result: done.append((task.index, result)))
        assert done == [(i, {"bytes": i}) for i in range(3)]
        assert [len((task.folder / "text").read_text()) for task in tasks] == [0, 1, 2]

    def test_the_first_error_is_told_and_the_others_work_is_kept(self, runner, tmp_path):
        tasks = [
            Task(tmp_path, "a", i, fail if i else write, {"text": "", "number": i, "full": i == 1})
            for i in range(3)
        ]
        with pytest.raises(RunStopped, match="task 1"):
            runner.run(tasks, lambda *_: None)
        assert [task.result() for task in tasks] == [{"bytes": 0}, None, None]
        assert [path.name for path in tmp_path.iterdir()] == ["a"]

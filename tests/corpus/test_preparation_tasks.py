"""The tasks of preparation: same shards however they are cut, run, killed and gone on with."""

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hierbert_tf.config import (
    CorpusConfig,
    DataConfig,
    RunConfig,
    SourceConfig,
    VocabularyConfig,
)
from hierbert_tf.corpus import chunk, prepared_folder, read_stages
from hierbert_tf.corpus import prepare as module
from hierbert_tf.corpus.prepare import prepare
from hierbert_tf.corpus.runner import LocalRunner
from hierbert_tf.corpus.stage_progress import StageProgress
from hierbert_tf.corpus.task import Task, run_stage, run_task
from hierbert_tf.corpus.units import plan_units
from hierbert_tf.data.manifest import Manifest
from hierbert_tf.errors import InputError, RunStopped

WORDS = "river stone letter garden window morning captain silver market evening".split()  # noqa: SIM905


def document(number):
    pairs = [(WORDS[(number + i) % 10], WORDS[(number * 3 + i) % 10]) for i in range(4)]
    return " ".join(f"The {one} near the {other} was number {number}." for one, other in pairs)


def config(*sources, **corpus):
    return RunConfig(
        corpus=CorpusConfig(
            sources=tuple(
                source if isinstance(source, SourceConfig) else SourceConfig(path=str(source))
                for source in sources
            ),
            **{"held_out_fraction": 0.2, "shard_tokens": 200} | corpus,
        ),
        vocabulary=VocabularyConfig(size=200),
        data=DataConfig(sequence_length=32),
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Text in three forms, with documents that are longer than a shard and repeated ones."""
    folder = tmp_path_factory.mktemp("sources")
    plain = [document(i) for i in range(30)] + [" ".join(map(document, range(30, 45))), document(3)]
    (folder / "a.txt").write_text("\n\n".join(plain))
    records = [{"text": f"{document(i)}\n\n{document(i + 50)}"} for i in range(100, 130)]
    records += [{"premise": document(i)[:40], "hypothesis": document(i)[-30:]} for i in range(20)]
    (folder / "b.jsonl").write_text("\n".join(map(json.dumps, records)))
    titled = [f"= Title {i} =\n\n{document(i)}\n\n{document(i + 1)}\n" for i in range(200, 215)]
    (folder / "c.txt").write_text("\n".join(titled))
    return folder


@pytest.fixture(scope="module")
def whole(sources, tmp_path_factory):
    """Prepared in one piece, in this process."""
    folder = tmp_path_factory.mktemp("whole") / "corpus"
    prepare(config(*sorted(sources.iterdir())), folder)
    return folder


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


class Interrupted(LocalRunner):
    """Stops after some tasks, as a kill would: without cleaning up."""

    def __init__(self, tasks):
        super().__init__()
        self.left = tasks
        self.ran = []

    def run(self, tasks, done):
        for task in tasks:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            self.ran.append(task.name)
            super().run([task], done)


class TestSameShards:
    @pytest.mark.parametrize("unit_bytes", [300, 2000])
    def test_however_the_text_is_cut(self, sources, whole, tmp_path, monkeypatch, unit_bytes):
        cut = functools.partial(plan_units, unit_bytes=unit_bytes)
        monkeypatch.setattr(read_stages, "plan_units", cut)
        monkeypatch.setattr(chunk, "CHUNK_CHARACTERS", 700)
        monkeypatch.setattr(module, "_WORTH_KEEPING", 0)
        seen = []
        prepare(config(*sorted(sources.iterdir())), tmp_path / "corpus", watch=seen.append)
        assert bytes_of(tmp_path / "corpus") == bytes_of(whole)
        assert next(p for p in seen if p.stage == "read").tasks > (30 if unit_bytes == 300 else 5)
        last = [p for p in seen if p.stage == "tokens"][-1]
        assert (last.tasks_done, last.documents) == (last.tasks, 97)

    def test_many_shards_in_several_tasks(self, sources, whole, tmp_path, monkeypatch):
        monkeypatch.setattr("hierbert_tf.corpus.shard_stages.SHARDS_AT_ONCE", 2)
        prepare(config(*sorted(sources.iterdir())), tmp_path / "corpus")
        assert bytes_of(tmp_path / "corpus") == bytes_of(whole)
        assert len(Manifest.load(whole).splits["train"].shards) > 10

    def test_two_processes(self, sources, whole, tmp_path):
        with LocalRunner(2) as runner:
            prepare(config(*sorted(sources.iterdir())), tmp_path / "corpus", runner=runner)
            assert bytes_of(tmp_path / "corpus") == bytes_of(whole)
            # An error of a process is the sentence it would be here, and the first task's.
            for name in ("x.jsonl", "y.jsonl"):
                (tmp_path / name).write_text("{}\n{")
            wrong = config(tmp_path / "x.jsonl", tmp_path / "y.jsonl")
            with pytest.raises(InputError, match=r"x\.jsonl', line 1: no field 'text'"):
                prepare(wrong, tmp_path / "wrong", runner=runner)
        assert not list(tmp_path.glob("*.tmp*"))


class TestGoingOn:
    def test_from_any_task(self, sources, whole, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "_WORTH_KEEPING", 0)
        monkeypatch.setattr("hierbert_tf.corpus.shard_stages.SHARDS_AT_ONCE", 8)
        settings = config(*sorted(sources.iterdir()))
        ran = []
        for _ in range(40):
            runner = Interrupted(1)
            try:
                prepare(settings, tmp_path / "corpus", runner=runner)
                break
            except KeyboardInterrupt:
                ran += runner.ran
                # Nothing looks finished.
                assert not (tmp_path / "corpus").exists()
                assert not list((tmp_path / "corpus.tmp").glob("finished-*/manifest.json"))
        assert bytes_of(tmp_path / "corpus") == bytes_of(whole)
        assert len(ran) == len(set(ran)) > 8
        assert [path.name for path in tmp_path.iterdir()] == ["corpus"]

    def test_a_kill_while_shards_are_moved(self, sources, whole, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "_WORTH_KEEPING", 0)
        rename, moved = os.rename, []

        def killed(source, target):
            if str(target).endswith(".tfrecord"):
                if len(moved) == 3:
                    raise KeyboardInterrupt
                moved.append(target)
            rename(source, target)

        monkeypatch.setattr(os, "rename", killed)
        settings = config(*sorted(sources.iterdir()))
        with pytest.raises(KeyboardInterrupt):
            prepare(settings, tmp_path / "corpus")
        monkeypatch.setattr(os, "rename", rename)
        runner = Interrupted(0)
        prepare(settings, tmp_path / "corpus", runner=runner)
        assert bytes_of(tmp_path / "corpus") == bytes_of(whole)

    def test_only_what_changed_is_done_again(self, sources, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "_WORTH_KEEPING", 0)
        for path in sources.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        settings = config(*sorted(tmp_path.iterdir()))
        with pytest.raises(KeyboardInterrupt):
            prepare(settings, tmp_path / "corpus", runner=Interrupted(3))
        with open(tmp_path / "b.jsonl", "a") as file:
            file.write('\n{"text": "One more. Here."}')
        runner = Interrupted(100)
        prepare(settings, tmp_path / "corpus", runner=runner)
        assert [name.partition("-")[0] for name in runner.ran if "read" in name] == ["read/000001"]

    def test_a_short_work_is_not_kept_after_an_error(self, sources, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            prepare(config(sources / "a.txt"), tmp_path / "corpus", runner=Interrupted(2))
        assert not list(tmp_path.iterdir())

    def test_two_at_the_same_time(self, sources, whole, tmp_path, monkeypatch):
        monkeypatch.setattr(prepared_folder, "_LOOK_EVERY", 0.01)
        settings = config(*sorted(sources.iterdir()))
        told, manifests = [], []

        def second():
            manifests.append(prepare(settings, tmp_path / "corpus", lambda *now: told.append(now)))

        class Slow(LocalRunner):
            def run(self, tasks, done):
                if not thread.is_alive() and not told:
                    thread.start()
                    while not told:
                        time.sleep(0.01)
                super().run(tasks, done)

        thread = threading.Thread(target=second)
        first = prepare(settings, tmp_path / "corpus", runner=Slow())
        thread.join(60)
        assert manifests == [first]
        assert told == [("waiting for another process", 0)]
        assert bytes_of(tmp_path / "corpus") == bytes_of(whole)

    @pytest.mark.slow
    def test_kill_9(self, sources, whole, tmp_path):
        """Real processes: the second is killed with its parent, and the third run ends the work."""
        program = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from pathlib import Path\n"
            "from test_preparation_tasks import LocalRunner, config, prepare\n"
            "if __name__ == '__main__':\n"
            "    with LocalRunner(2) as runner:\n"
            "        prepare(config(*sorted(Path(sys.argv[2]).iterdir())), sys.argv[3],\n"
            "                runner=runner, watch=lambda p: print(p.stage, flush=True))\n"
        )
        script = tmp_path / "program.py"
        script.write_text(program)
        process = subprocess.Popen(
            [sys.executable, script, os.path.dirname(__file__), sources, tmp_path / "corpus"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout.readline() == "read\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "corpus").exists()
        assert list((tmp_path / "corpus.tmp" / "read").glob("*/done.json"))
        assert prepare(config(*sorted(sources.iterdir())), tmp_path / "corpus")
        assert bytes_of(tmp_path / "corpus") == bytes_of(whole)
        assert not (tmp_path / "corpus.tmp").exists()
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{child}").exists() for child in children):
            assert time.monotonic() < deadline, "a process outlived its parent"
            time.sleep(0.1)


class TestRemoveDuplicates:
    def test_first_occurrences_stay(self, tmp_path, monkeypatch):
        monkeypatch.setattr(chunk, "CHUNK_CHARACTERS", 50)
        records = [
            {"text": "A first one. It is long.\n\nB stands here."},
            {"text": "B stands here.\n\nC is new.\n\nC is new."},
            {"text": "B stands here."},
            {"premise": "B stands here.", "hypothesis": "D."},
            {"premise": "B stands here.", "hypothesis": "E."},
            {"premise": "B stands here.", "hypothesis": "D."},
            {"text": "E.\n\nF is last. Yes."},
        ]
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
        settings = config(tmp_path / "a.jsonl", remove_duplicates=True, held_out_fraction=0.0)
        kept = prepare(settings, tmp_path / "corpus").report
        expected = [
            {"text": "A first one. It is long.\n\nB stands here."},
            {"text": "C is new."},
            {"premise": "B stands here.", "hypothesis": "D."},
            {"premise": "B stands here.", "hypothesis": "E."},
            {"text": "E.\n\nF is last. Yes."},
        ]
        (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, expected)))
        settings = dataclasses.replace(settings, corpus=dataclasses.replace(
            settings.corpus, sources=(SourceConfig(path=str(tmp_path / "b.jsonl")),),
            remove_duplicates=False))  # fmt: skip
        same = prepare(settings, tmp_path / "expected").report
        for name in ("documents", "pairs", "sentences", "words", "tokens", "too_short_documents"):
            assert kept[name] == same[name], name
        assert kept["removed_duplicates"] == 4
        # B four times more, in pairs too; the pair's D once more, C once, the text E once.
        assert kept["duplicate_lines"] == 2 + 1 + 3 + 1 + 1
        counts = [np.load(tmp_path / name / "token_counts.npy") for name in ("corpus", "expected")]
        np.testing.assert_array_equal(*counts)

    def test_a_document_in_pieces(self, tmp_path, monkeypatch):
        monkeypatch.setattr("hierbert_tf.corpus.plain_text.LONGEST_DOCUMENT", 30)
        monkeypatch.setattr(chunk, "CHUNK_CHARACTERS", 20)
        paragraphs = ["One is the first paragraph.", "Two is the second paragraph.", "Three ends."]
        (tmp_path / "a.txt").write_text(f"{paragraphs[0]}\n")
        (tmp_path / "b.txt").write_text("\n\n".join(paragraphs))
        files = [
            SourceConfig(path=str(tmp_path / name), document_break="paragraph")
            for name in ("a.txt", "b.txt")
        ]
        for shares, removed, sentences in ((False, 0, 4), (True, 1, 3)):
            settings = config(*files, remove_duplicates=shares, held_out_fraction=0.0)
            report = prepare(settings, tmp_path / "corpus").report
            assert (report["documents"], report["sentences"]) == (2, sentences)
            assert report["removed_duplicates"] == removed

    def test_the_setting_counts_only_when_set(self, sources, tmp_path):
        first = prepare(config(sources / "a.txt"), tmp_path / "corpus")
        assert "remove_duplicates" not in first.preparation["corpus"]
        wanted = config(sources / "a.txt", remove_duplicates=True)
        with pytest.raises(InputError, match=r"settings \(corpus\.remove_duplicates\)"):
            prepare(wanted, tmp_path / "corpus", replace=False)
        assert prepare(wanted, tmp_path / "corpus").report["removed_duplicates"] == 1


class TestTasks:
    def test_a_failed_task_leaves_nothing(self, tmp_path):
        def fail(_, __, folder):
            (folder / "half").write_text("x")
            raise InputError("broken")

        task = Task(tmp_path, "a", 0, fail, {})
        with pytest.raises(InputError, match="broken"):
            run_task(task)
        assert not list((tmp_path / "a").iterdir())
        assert task.result() is None

    def test_done_twice_is_done_once(self, tmp_path):
        """As by two machines at the same time: the second finds the first one's folder there."""

        def write(_, root, folder):
            if not other:
                other.append(True)
                run_task(task)
            (folder / "a").write_text("x")
            return {}

        other: list[bool] = []
        task = Task(tmp_path, "a", 0, write, {})
        run_task(task)
        assert [path.name for path in (tmp_path / "a").iterdir()] == [task.folder.name]

    def test_what_is_no_part_of_a_stage_goes(self, tmp_path):
        (tmp_path / "a" / "000007-old").mkdir(parents=True)
        task = Task(tmp_path, "a", 0, lambda *_: {}, {})
        run_stage([task], LocalRunner().run, lambda *_: None)
        assert [path.name for path in (tmp_path / "a").iterdir()] == [task.folder.name]

    def test_a_runner_that_does_nothing_is_noticed(self, tmp_path):
        task = Task(tmp_path, "a", 0, lambda *_: {}, {})
        with pytest.raises(InputError, match="is the folder shared by all"):
            run_stage([task], lambda *_: None, lambda *_: None)

    def test_a_killed_process_is_a_sentence(self, tmp_path):
        tasks = [Task(tmp_path, "a", i, end_process, {"i": i}) for i in range(2)]
        with LocalRunner(2) as runner, pytest.raises(RunStopped, match="process .* was killed"):
            runner.run(tasks, lambda *_: None)

    def test_processes(self):
        with pytest.raises(InputError, match="0 processes"):
            LocalRunner(0)

    def test_progress(self):
        progress = StageProgress("read", 2, 4, 0, 0, 0.0)
        assert progress.to_text() == "read: 2 of 4"


def end_process(arguments, root, folder):
    os.kill(os.getpid(), signal.SIGKILL)

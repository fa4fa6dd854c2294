import pytest

from hierbert_tf.corpus.stage_progress import StageProgress
from hierbert_tf.data.manifest import Manifest
from hierbert_tf.errors import InputError
from hierbert_tf.recipes.prepare import ProgressLines, main, make_runner


@pytest.fixture
def settings(tmp_path):
    text = "\n\n".join(f"The river was number {i}. It ran on and on." for i in range(30))
    (tmp_path / "text.txt").write_text(text)
    return [
        f"folder={tmp_path / 'run'}",
        f"corpus.sources.0.path={tmp_path / 'text.txt'}",
        "vocabulary.size=100",
    ]


def test_the_text_stands_where_pretraining_finds_it(settings, tmp_path, capsys):
    assert main(settings) == 0
    manifest = Manifest.load(tmp_path / "run" / "data")
    assert manifest.report["documents"] == 30
    out = capsys.readouterr().out
    assert "preparing: read: 1 of 1, 30 documents, " in out
    assert "preparing: shards: 2 of 2" in out
    assert "| documents " in out
    assert main(settings) == 0
    assert "preparing" not in capsys.readouterr().out


def test_what_a_run_needs_is_not_replaced(settings, tmp_path, capsys):
    assert main(settings) == 0
    manifest = Manifest.load(tmp_path / "run" / "data")
    (tmp_path / "run" / "checkpoints" / "step_00000005").mkdir(parents=True)
    assert main([*settings, "seed=7"]) == 2
    assert "other text or settings (seed)" in capsys.readouterr().err
    assert Manifest.load(tmp_path / "run" / "data") == manifest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--processes", "0"], "0 processes"),
        (["--", "--flink_master=x"], "'--flink_master=x' is Beam's"),
        (["--runner", "FlinkRunner", "--processes", "2"], "--processes is not for FlinkRunner"),
        (["corpus.shard_token=3"], "shard_token"),
    ],
)
def test_wrong_arguments(settings, arguments, message, capsys):
    if "--" in arguments:
        arguments, settings = [], [*settings, *arguments]
    assert main([*arguments, *settings]) == 2
    assert message in capsys.readouterr().err


def test_processes():
    with pytest.raises(InputError, match="-1 processes"):
        make_runner("local", -1, [])


def test_not_too_many_lines(capsys):
    lines = ProgressLines()
    for done in range(1, 101):
        lines(StageProgress("read", done, 100, done, done, 1.0))
    assert len(capsys.readouterr().out.splitlines()) == 2

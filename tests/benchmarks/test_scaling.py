"""The calculator of docs/scaling.md: its formulas, its page, what it refuses."""

import importlib
import json
import math
import re
import sys
from pathlib import Path

import pytest

from hierbert_tf.config import EncoderConfig, ReceivesConfig, TaskConfig
from hierbert_tf.models.pretrainer import build_pretrainer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scaling.md"
sys.path.append(str(ROOT / "benchmarks"))

plan_module = importlib.import_module("scaling_plan")
scaling = importlib.import_module("scaling")
Plan, Layout = plan_module.Plan, plan_module.Layout


def printed(capsys, *arguments):
    assert scaling.main(list(arguments)) == 0
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("tasks", "sequence_tasks", "transfers"),
    [
        ([TaskConfig("masked_lm", 2)], 0, 0),
        (
            [
                TaskConfig("next_sentence", 1),
                TaskConfig("bigram_shift", 1),
                TaskConfig("masked_lm", 2, receives=ReceivesConfig("next_sentence")),
            ],
            2,
            1,
        ),
    ],
)
def test_the_formula_counts_the_built_model(tasks, sequence_tasks, transfers):
    encoder = EncoderConfig(layers=2, hidden=12, heads=2, intermediate=20, positions=24)
    model = build_pretrainer(encoder, tasks, vocabulary_size=31, seed=1)
    plan = Plan(
        layers=2, hidden=12, intermediate=20, positions=24, vocabulary=31,
        sequence_tasks=sequence_tasks, transfers=transfers,
    )  # fmt: skip
    built = sum(math.prod(weight.shape) for weight in model.trainable_variables)
    assert plan_module.parameters(plan) == built


def test_bert_base_has_the_published_size():
    """110 million with pooler, without the heads of pre-training (Devlin et al., 2019)."""
    plan = Plan(sequence_tasks=1, transfers=0)
    heads = 768 * 768 + 3 * 768 + 30_522 + 2 * 768 + 2
    assert plan_module.parameters(plan) - heads == 109_482_240


def test_a_ring_sends_each_part_around_twice():
    assert plan_module.ring_bytes(1000, 1) == 0
    assert plan_module.ring_bytes(1000, 2) == 4000
    assert plan_module.ring_bytes(1000, 8) == 7000


def test_youngs_interval_loses_least():
    def lost(interval):
        return 4.0 / interval + interval / 2 / 7200

    best = plan_module.young_interval(4.0, 7200.0)
    assert best == 240.0
    assert lost(best) < min(lost(best * 0.9), lost(best * 1.1))


def test_the_flop_of_a_token():
    plan = Plan(layers=2, hidden=8, intermediate=16, vocabulary=10, masked_share=0.5, transfers=0)
    assert plan_module.token_flop(plan, length=4) == {
        "weights": 6 * 2 * (4 * 64 + 2 * 8 * 16),
        "attention": 12 * 2 * 4 * 8,
        "masked LM": 6 * 0.5 * (64 + 80),
    }


def test_a_layout_by_hand():
    plan = Plan(
        gigabytes=1.0, text_bytes_a_token=4.0, epochs=2.0, tokens_a_gpu=1024, gpus_a_worker=2,
        teraflops=100.0, utilisation=0.5, fast_network=80.0, nvlink=100.0,
        input_rate=100.0, input_rate_cores=2.0, input_length=64, input_cores=10.0,
        checkpoint_rate=100.0, failure_hours=10.0, restart_minutes=1.0,
    )  # fmt: skip
    layout = Layout(plan, length=128, gpus=4)
    total = plan_module.parameters(plan)
    assert (layout.workers, layout.sequences) == (2, 32)
    flop = sum(plan_module.token_flop(plan, 128).values()) * 4096
    assert layout.compute_seconds == pytest.approx(flop / (4 * 100e12 * 0.5))
    summing = 2 * 3 / 4 * 4 * total / 10e9  # 80 Gb/s
    assert layout.step_seconds == pytest.approx(layout.compute_seconds + summing)
    alone = Layout(plan, length=128, gpus=2)
    assert alone.step_seconds == pytest.approx(alone.compute_seconds + 4 * total / 100e9)
    assert layout.input_rate_of_core == 25.0  # half of 100 / 2, for twice the tokens
    assert layout.input_needed == pytest.approx(32 / layout.step_seconds)
    assert layout.gpus_at_input_limit == int(250.0 / (8 / layout.compute_seconds))
    assert layout.steps == math.ceil(500e6 / 4096)
    assert layout.failure_seconds == 18_000
    write = 12 * total / 100e6
    interval = math.sqrt(2 * write * 18_000)
    assert layout.interval == pytest.approx(interval)
    assert layout.lost_share == pytest.approx(write / interval + (interval / 2 + 60) / 18_000)


def test_the_page_holds_what_the_calculator_prints(capsys):
    page = PAGE.read_text()
    for table in printed(capsys).split("\n\n"):
        assert table in page, "docs/scaling.md is not what benchmarks/scaling.py prints"


def test_the_numbers_of_the_text_are_the_calculators(capsys):
    numbers = set(re.findall(r"\d[\d,.]*\d|\d", printed(capsys)))
    text = PAGE.read_text().split("**Network.**")[1].split("## One GPU")[0]
    claimed = re.findall(r"(\d[\d,.]*\d|\d)(?= (?:ms|Gb/s|GPUs|workers|cores|on each))", text)
    claimed += re.findall(r"where (\S+) would do", text)
    assert len(claimed) >= 10 and set(claimed) <= numbers


def test_own_figures_are_marked(capsys):
    out = printed(capsys, "--gigabytes", "1", "--gpus", "2", "--lengths", "64")
    assert "| `--gigabytes` | 1 | GB (1e9 bytes) of text | given |" in out
    assert "T 64, 2 GPUs" in out


def test_the_bytes_of_own_shards(tmp_path, capsys):
    split = {"tokens": 50, "shards": [{"bytes": 80}, {"bytes": 40}]}
    manifest = {"report": {"text_bytes": 500}, "splits": {"train": split, "held_out": split}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    out = printed(capsys, "--prepared", str(tmp_path))
    assert "| `--text-bytes-a-token` | 5 | bytes of text a WordPiece | given |" in out
    assert "| `--shard-bytes-a-token` | 2.4 |" in out


def test_our_writer_is_timed_and_leaves_nothing(tmp_path):
    rate = scaling.time_checkpoint(tmp_path, Plan(layers=1, hidden=8, intermediate=8))
    assert rate > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gpus", "0"], "lengths and gpus must be above zero"),
        (["--utilisation", "0"], "utilisation must be above zero"),
        (["--lengths", "1024"], "a length is above --positions"),
        (["--prepared", "nowhere"], "no prepared text is here"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        scaling.main(arguments)
    assert stop.value.code == 2
    assert words in capsys.readouterr().err

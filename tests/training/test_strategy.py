import argparse
import dataclasses

import pytest
import tensorflow as tf

from hierbert_tf.config import DataConfig, RunConfig, TrainingConfig
from hierbert_tf.errors import InputError
from hierbert_tf.recipes.distribution import (
    _same_on_all,
    add_strategy_arguments,
    distribution,
    strategy_choice,
)
from hierbert_tf.recipes.start import Start
from hierbert_tf.training.cluster import Cluster
from hierbert_tf.training.strategy import StrategyChoice, check_strategy, make_strategy
from hierbert_tf.training.worker_group import WorkerGroup

PAIR = Cluster(("a:1", "b:1"), 0)
TPU_DATA = DataConfig(length_multiple=0)


def config(data: DataConfig | None = None, **training) -> RunConfig:
    return RunConfig(data=data or DataConfig(), training=TrainingConfig(**training))


@pytest.mark.parametrize(
    ("choice", "settings", "message"),
    [
        (StrategyChoice("gpu"), config(), "one of one_device, mirrored, multi_worker, tpu"),
        (StrategyChoice(devices=2), config(), "only mirrored takes"),
        (StrategyChoice("mirrored", devices=-1), config(), "only mirrored takes"),
        (StrategyChoice(tpu="x"), config(), "--tpu needs --strategy tpu, not one_device"),
        (StrategyChoice("multi_worker"), config(), "belong together"),
        (StrategyChoice(cluster=PAIR), config(), "belong together"),
        (StrategyChoice("mirrored", 2), config(xla=True), "training.xla is on with 2 replicas"),
        (StrategyChoice("multi_worker", cluster=PAIR), config(xla=True), "xla is on with 2"),
        (StrategyChoice("multi_worker", cluster=PAIR), config(DataConfig(batch_size=3)),
         "data.batch_size 3 does not divide into 2 replicas x 1"),
        (StrategyChoice("tpu"), config(TPU_DATA, xla=True), "compiles everything by itself"),
        (StrategyChoice("tpu"), config(TPU_DATA, precision="mixed_float16"), "mixed_bfloat16"),
        (StrategyChoice("tpu"), config(), "set data.length_multiple to 0"),
    ],
)  # fmt: skip
def test_what_does_not_work_is_refused_with_its_reason(choice, settings, message):
    with pytest.raises(InputError, match=message):
        check_strategy(choice, settings)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(
    ("choice", "xla"),
    [
        (StrategyChoice(), False),
        (StrategyChoice(), True),
        (StrategyChoice("mirrored", devices=2), False),
        (StrategyChoice("multi_worker", cluster=PAIR), False),
    ],
)
def test_what_works_is_not_refused(choice, xla, precision):
    check_strategy(choice, config(precision=precision, xla=xla))


def test_a_tpu_is_not_refused_on_paper():
    check_strategy(StrategyChoice("tpu"), config(TPU_DATA, precision="mixed_bfloat16"))


def test_a_tpu_that_is_not_there_is_a_sentence(monkeypatch):
    def resolver(tpu: str):
        raise ValueError("Please provide a TPU Name to connect to.\nMore lines.")

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", resolver)
    with pytest.raises(InputError, match=r"no TPU of this machine .*\(Please provide a TPU Name"):
        make_strategy(StrategyChoice("tpu"))


def test_a_tpu_is_connected_to_and_initialised_before_its_strategy(monkeypatch):
    calls = []
    monkeypatch.setattr(
        tf.distribute.cluster_resolver, "TPUClusterResolver", lambda tpu: calls.append(tpu) or "it"
    )
    monkeypatch.setattr(
        tf.config, "experimental_connect_to_cluster", lambda r: calls.append(("connect", r))
    )
    monkeypatch.setattr(
        tf.tpu.experimental, "initialize_tpu_system", lambda r: calls.append(("initialise", r))
    )
    monkeypatch.setattr(tf.distribute, "TPUStrategy", lambda r: ("strategy", r))
    assert make_strategy(StrategyChoice("tpu", tpu="mine")) == ("strategy", "it")
    assert calls == ["mine", ("connect", "it"), ("initialise", "it")]


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there are GPUs")
def test_mirrored_without_a_gpu_says_what_to_do():
    with pytest.raises(InputError, match="finds no GPU; .* --devices N"):
        make_strategy(StrategyChoice("mirrored"))


def test_devices_cannot_be_divided_any_more():
    tf.config.list_logical_devices()
    with pytest.raises(InputError, match="--devices 64: TensorFlow is in use"):
        make_strategy(StrategyChoice("mirrored", devices=64))


def test_a_cluster_of_one_worker_is_one_device():
    choice = StrategyChoice("multi_worker", cluster=Cluster(("127.0.0.1:1",), 0))
    with distribution(choice, RunConfig(), Start()) as (strategy, workers):
        assert strategy.num_replicas_in_sync == 1 and type(workers) is WorkerGroup
        assert workers.is_chief


def test_options():
    parser = argparse.ArgumentParser()
    add_strategy_arguments(parser)
    options = ["--strategy", "multi_worker", "--workers", "a:1,b:1", "--worker-index", "1"]
    choice = strategy_choice(parser.parse_args([*options, "--stall-timeout", "30"]))
    assert choice.cluster == Cluster(("a:1", "b:1"), 1) and choice.workers == 2
    assert (choice.patience.stall, choice.patience.start) == (30.0, 90.0)
    with pytest.raises(InputError, match="--silence-timeout is 0.0"):
        strategy_choice(parser.parse_args([*options, "--silence-timeout", "0"]))
    with pytest.raises(InputError, match="--workers and --strategy multi_worker belong together"):
        check_strategy(strategy_choice(parser.parse_args(options[2:])), RunConfig())


def test_all_but_the_folder_must_be_the_same_on_all_workers():
    one = _same_on_all(RunConfig(folder="a"), Start())
    assert one == _same_on_all(RunConfig(folder="b"), Start())
    assert one["tasks.2.receives.source"] == "next_sentence" and one["--from_scratch"] is False
    other = _same_on_all(dataclasses.replace(RunConfig(), seed=7), Start(resume=True))
    assert {key for key in one if one[key] != other[key]} == {"seed", "--resume"}

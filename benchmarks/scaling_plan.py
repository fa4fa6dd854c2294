"""The arithmetic behind `benchmarks/scaling.py`; imported, not run.

Dimension letters: H hidden, I intermediate, L layers, T sequence length, V vocabulary.
"""

import math
from dataclasses import dataclass, field
from typing import Any

FLOAT = 4
"""Bytes of a float32: weights, moments and gradients are float32 under mixed precision too."""


def setting(default: Any, source: str, meaning: str) -> Any:
    """A field of `Plan`: its default, where that comes from, what it means."""
    return field(default=default, metadata={"source": source, "meaning": meaning})


@dataclass(frozen=True)
class Plan:
    """The settings of a calculation; each is an option of the command line."""

    gigabytes: float = setting(16.0, "the question", "GB (1e9 bytes) of text")
    text_bytes_a_token: float = setting(4.31, "measured", "bytes of text a WordPiece")
    shard_bytes_a_token: float = setting(2.15, "measured", "bytes of shards a WordPiece (uint16)")
    preparation_rate: float = setting(3.0, "measured", "MB/s a core, text to shards")
    preparation_cores: int = setting(32, "assumed", "cores that prepare")
    layers: int = setting(12, "BERT-base", "encoder blocks L")
    hidden: int = setting(768, "BERT-base", "hidden dimension H")
    intermediate: int = setting(3072, "BERT-base", "feed-forward dimension I")
    vocabulary: int = setting(30_522, "BERT-base", "vocabulary V")
    positions: int = setting(512, "BERT-base", "position embeddings")
    sequence_tasks: int = setting(2, "main recipe", "tasks with a pooler and two classes")
    transfers: int = setting(1, "main recipe", "transfers by concat into a block")
    masked_share: float = setting(
        0.15, "main recipe", "share of the tokens that masked LM predicts"
    )
    epochs: float = setting(40.0, "BERT's", "passes over the corpus")
    tokens_a_gpu: int = setting(32_768, "assumed", "tokens a GPU in a step")
    gpus_a_worker: int = setting(8, "assumed", "GPUs of a machine; a worker is a machine")
    teraflops: float = setting(312.0, "data sheet, A100", "peak TFLOP/s of a GPU, bfloat16")
    utilisation: float = setting(0.4, "assumed", "share of the peak that a step reaches")
    nvlink: float = setting(300.0, "data sheet, A100", "GB/s of a GPU's NVLink, one direction")
    fast_network: float = setting(100.0, "the question", "Gb/s of a machine's fast network")
    slow_network: float = setting(25.0, "the question", "Gb/s of a machine's slow network")
    input_rate: float = setting(14_700.0, "measured", "sequences/s of the input at input_length")
    input_rate_cores: float = setting(2.0, "measured", "cores that gave input_rate")
    input_length: int = setting(128, "measured", "T at which input_rate was taken")
    input_cores: float = setting(64.0, "assumed", "cores a worker has for its input")
    checkpoint_rate: float = setting(
        340.0, "measured", "MB/s of our checkpoint writer, SHA-256 too"
    )
    failure_hours: float = setting(24.0, "assumed", "mean hours between a machine's pre-emptions")
    restart_minutes: float = setting(5.0, "assumed", "minutes from a stop to the next step")


def parameters(plan: Plan) -> int:
    """Parameters of the pre-training model with all its heads."""
    h, i = plan.hidden, plan.intermediate
    embeddings = (plan.vocabulary + plan.positions + 2) * h + 2 * h
    block = 4 * (h * h + h) + (h * i + i) + (i * h + h) + 4 * h
    masked_lm = h * h + h + 2 * h + plan.vocabulary  # its projection is the embedding's
    sequence_task = (h * h + h) + (2 * h + 2)
    transfer = 2 * h * h + h
    return (
        embeddings
        + plan.layers * block
        + masked_lm
        + plan.sequence_tasks * sequence_task
        + plan.transfers * transfer
    )


def token_flop(plan: Plan, length: int) -> dict[str, float]:
    """FLOP a token of a training step, forward and backward: 6 for each weight it passes.

    Multiplications in products of matrices alone; what is done once a sequence is left out.
    """
    h, i = plan.hidden, plan.intermediate
    passed = plan.layers * (4 * h * h + 2 * h * i) + plan.transfers * h * h
    head = plan.masked_share * (h * h + h * plan.vocabulary)
    return {
        "weights": 6.0 * passed,
        "attention": 12.0 * plan.layers * length * h,
        "masked LM": 6.0 * head,
    }


def ring_bytes(parameters: int, gpus: int) -> float:
    """Bytes that each GPU sends (and receives) to sum float32 gradients around a ring."""
    return 2 * (gpus - 1) / gpus * FLOAT * parameters


def young_interval(write_seconds: float, failure_seconds: float) -> float:
    """Seconds between checkpoints that lose least: sqrt(2 C M) (Young, 1974)."""
    return math.sqrt(2 * write_seconds * failure_seconds)


@dataclass(frozen=True)
class Layout:
    """One length T on a number of GPUs."""

    plan: Plan
    length: int
    gpus: int

    @property
    def workers(self) -> int:
        """Machines."""
        return -(-self.gpus // self.plan.gpus_a_worker)

    @property
    def sequences(self) -> int:
        """Sequences of the global batch."""
        return self.plan.tokens_a_gpu // self.length * self.gpus

    @property
    def batch_bytes(self) -> float:
        """Bytes of the global batch: ids, segments and mask, and 3 numbers a masked position."""
        numbers = 3 + 3 * self.plan.masked_share
        return self.sequences * self.length * numbers * FLOAT

    @property
    def step_flop(self) -> float:
        """FLOP of a step over all GPUs."""
        return sum(token_flop(self.plan, self.length).values()) * self.sequences * self.length

    @property
    def compute_seconds(self) -> float:
        """Seconds of a step without any waiting."""
        return self.step_flop / (self.gpus * self.plan.teraflops * 1e12 * self.plan.utilisation)

    def sum_seconds(self, gigabytes_a_second: float) -> float:
        """Seconds to sum the gradients when the ring's slowest link has this speed."""
        return ring_bytes(parameters(self.plan), self.gpus) / (gigabytes_a_second * 1e9)

    @property
    def step_seconds(self) -> float:
        """Seconds of a step whose sums wait for all its gradients, on the fast network."""
        one_machine = self.workers == 1
        link = self.plan.nvlink if one_machine else self.plan.fast_network / 8
        return self.compute_seconds + self.sum_seconds(link)

    @property
    def input_rate_of_core(self) -> float:
        """Sequences/s that one core makes at this T, taking the cost as that of the tokens."""
        plan = self.plan
        return plan.input_rate / plan.input_rate_cores * plan.input_length / self.length

    @property
    def input_needed(self) -> float:
        """Sequences/s that every worker reads: the whole global batch."""
        return self.sequences / self.step_seconds

    @property
    def gpus_at_input_limit(self) -> int:
        """GPUs whose steps, without any waiting, take all that a worker's cores can make."""
        of_gpu = self.sequences / self.gpus / self.compute_seconds
        return int(self.plan.input_cores * self.input_rate_of_core / of_gpu)

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        tokens = self.plan.gigabytes * 1e9 / self.plan.text_bytes_a_token * self.plan.epochs
        return math.ceil(tokens / (self.sequences * self.length))

    @property
    def failure_seconds(self) -> float:
        """Mean time between stops: any machine's stop is the run's."""
        return self.plan.failure_hours * 3600 / self.workers

    @property
    def checkpoint_seconds(self) -> float:
        """Seconds of a write, in which no step is done."""
        return checkpoint_bytes(self.plan) / (self.plan.checkpoint_rate * 1e6)

    @property
    def interval(self) -> float:
        """Seconds between checkpoints, by Young's formula."""
        return young_interval(self.checkpoint_seconds, self.failure_seconds)

    @property
    def lost_share(self) -> float:
        """Expected share of the time that goes into writing, doing again and starting again."""
        restart = self.plan.restart_minutes * 60
        again = (self.interval / 2 + restart) / self.failure_seconds
        return self.checkpoint_seconds / self.interval + again


def checkpoint_bytes(plan: Plan) -> int:
    """Bytes of a checkpoint: weights and two moments in float32."""
    return 3 * FLOAT * parameters(plan)

"""Probing one task after another: vectors, classifiers, scores, and what is done already."""

import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from hierbert_tf.config_file import settings_sha256
from hierbert_tf.config_probing import FIRST_TOKEN, MLP, ProbeClassifierConfig, ProbingConfig
from hierbert_tf.errors import InputError
from hierbert_tf.probing.control_task import control_labels
from hierbert_tf.probing.examples import TEST, TRAIN, ProbingTask
from hierbert_tf.probing.logistic_regression import train_logistic_regressions
from hierbert_tf.probing.online_code import Codelength, online_codelengths
from hierbert_tf.probing.precomputed import PrecomputedVectors
from hierbert_tf.probing.probed_encoder import ProbedEncoder
from hierbert_tf.probing.scores import PRE_TRAINED, RANDOM_WEIGHTS, ProbeScore
from hierbert_tf.probing.sweep import train_probes
from hierbert_tf.probing.vector_cache import VectorCache
from hierbert_tf.provenance import code_version
from hierbert_tf.storage import write_text

Vectors = Mapping[str, np.ndarray]


class ProbingRun:
    """The scores of one encoder, task by task.

    Each seed of each task is kept in `tasks/TASK/seed_N.json` when it is done, with what it was
    made from; the same settings find it there again.

    Args:
        config: the settings.
        probed: the encoder, or vectors that somebody else made.
        folder: where the run keeps its records and, in `vectors`, the cached vectors.

    Raises:
        InputError: a layer that the encoder does not have.
    """

    def __init__(
        self, config: ProbingConfig, probed: ProbedEncoder | PrecomputedVectors, folder: Path
    ) -> None:
        self.config = config
        self.probed = probed
        self.folder = folder
        self.cache = VectorCache(folder / "vectors")
        self.commits: dict[str, None] = {}

    @property
    def heads(self) -> Sequence[tuple[str, int]]:
        """The pre-training tasks and the layers they were solved at, where they are known."""
        return self.probed.heads

    def scores(self, task: ProbingTask) -> list[ProbeScore]:
        """Probes every layer with one task, or finds it done.

        Returns:
            Scores by seed, encoder (pre-trained, then random weights), pooling and layer.

        Raises:
            InputError: the folder holds scores of other vectors or examples.
        """
        seeds = range(self.config.seed, self.config.seed + self.config.seeds)
        identity = {
            "settings_sha256": settings_sha256(self.config),
            "encoder_sha256": self.probed.sha256,
            "examples_sha256": task.examples_sha256,
        }
        places = {seed: self.folder / "tasks" / task.name / f"seed_{seed}.json" for seed in seeds}
        missing = [seed for seed, place in places.items() if not place.exists()]
        if missing:
            fresh = self._probe(task, missing)
            for seed in missing:
                rows = [asdict(score) for score in fresh if score.seed == seed]
                places[seed].parent.mkdir(parents=True, exist_ok=True)
                record = {"identity": identity, "commit": code_version(), "scores": rows}
                write_text(places[seed], json.dumps(record, indent=1))
        found: list[ProbeScore] = []
        for place in places.values():
            record = json.loads(place.read_text(encoding="utf-8"))
            _check_identity(record["identity"], identity, place)
            self.commits[record["commit"]] = None
            found += [ProbeScore(**row) for row in record["scores"]]
        return found

    def _probe(self, task: ProbingTask, seeds: Sequence[int]) -> list[ProbeScore]:
        if isinstance(self.probed, PrecomputedVectors):
            return self._train(task, self.probed.vectors(task), PRE_TRAINED, seeds)
        vectors = self._vectors(self.probed, task, self.cache)
        counts = asdict(self.cache.counts(self.probed, task, self.config.model))
        if any(counts.values()):
            shown = ", ".join(
                f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items()
            )
            print(f"{task.name}: {shown}", flush=True)
        scores = self._train(task, vectors, PRE_TRAINED, seeds)
        if self.config.model.random_weights:
            for seed in seeds:
                # Not kept: as large as the encoder's own, and quickly made again.
                with tempfile.TemporaryDirectory(dir=self.folder, prefix=".random-") as place:
                    encoder = self.probed.with_random_weights(seed)
                    vectors = self._vectors(encoder, task, VectorCache(place))
                    scores += self._train(task, vectors, RANDOM_WEIGHTS, [seed])
        return scores

    def _vectors(self, encoder: ProbedEncoder, task: ProbingTask, cache: VectorCache) -> Vectors:
        poolings = (FIRST_TOKEN,) if task.word_level else self.config.model.poolings
        return cache.vectors(encoder, task, poolings, self.config.model)

    def _train(
        self, task: ProbingTask, vectors: Vectors, encoder: str, seeds: Sequence[int]
    ) -> list[ProbeScore]:
        return [
            score
            for pooling, values in vectors.items()
            for score in self._train_pooling(task, pooling, values, encoder, seeds)
        ]

    def _train_pooling(
        self,
        task: ProbingTask,
        pooling: str,
        values: np.ndarray,
        encoder: str,
        seeds: Sequence[int],
    ) -> list[ProbeScore]:
        """All layers with one pooling."""
        layers = self.config.model.layers or range(len(values))
        if max(layers) >= len(values):
            raise InputError(
                f"model.layers: there is no layer {max(layers)}; the last is {len(values) - 1}"
            )
        if self.config.model.layers:
            values = values[list(layers)]
        settings = _settings_for(task, self.config.classifier)
        train = train_probes if settings.kind == MLP else train_logistic_regressions
        facts = (task.splits, len(task.label_names), settings)
        started = time.perf_counter()
        results = train(values, task.labels, *facts, seeds)
        controls: dict[tuple[int, int], float] = {}
        if self.config.control:
            # Each seed draws random labels of its own.
            for seed in seeds:
                random_labels = control_labels(task, seed)
                if len(set(random_labels[task.rows(TRAIN)])) == 1:
                    # Every sentence begins with the same word: there is nothing to learn.
                    right = random_labels[task.rows(TEST)] == random_labels[task.rows(TRAIN)][0]
                    controls |= {(row, seed): float(right.mean()) for row in range(len(values))}
                    continue
                for result in train(values, random_labels, *facts, [seed]):
                    controls[result.layer, seed] = result.test
        codes: dict[tuple[int, int], Codelength] = {}
        if self.config.online_code:
            found = online_codelengths(values, task.labels, *facts, results)
            codes = {(code.layer, code.seed): code for code in found}
        last = f"{statistics.fmean(r.test for r in results if r.layer == len(values) - 1):.1%}"
        print(
            f"{task.name}, {pooling}, {encoder}: last layer {last}, majority "
            f"{task.majority():.1%}, {len(layers)} layers x {len(seeds)} seeds in "
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )
        scores = []
        for result in results:
            place = result.layer, result.seed
            control, code = controls.get(place), codes.get(place)
            scores.append(
                ProbeScore(
                    task=task.name,
                    encoder=encoder,
                    pooling=pooling,
                    layer=layers[result.layer],
                    classifier=settings.kind,
                    seed=result.seed,
                    setting=result.setting,
                    epochs=result.epochs,
                    test_examples=len(task.rows(TEST)),
                    majority=task.majority(),
                    validation=result.validation,
                    test=result.test,
                    control=control,
                    selectivity=None if control is None else result.test - control,
                    codelength_bits=code.bits if code else None,
                    compression=code.compression if code else None,
                )
            )
        return scores


def _settings_for(task: ProbingTask, settings: ProbeClassifierConfig) -> ProbeClassifierConfig:
    """The task's own classifiers: without hidden layer for a task of very many classes."""
    if settings.kind == MLP and task.name in settings.linear_tasks:
        return replace(settings, hidden=(0,), dropout=(0.0,))
    return settings


def _check_identity(theirs: Mapping[str, str], ours: Mapping[str, str], path: Path) -> None:
    whats = {"encoder_sha256": "an encoder with other weights", "examples_sha256": "other examples"}
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise InputError(
                f"{path} holds scores of {whats.get(key, 'other settings')}; choose another "
                "folder=..., or --from-scratch to set them aside"
            )

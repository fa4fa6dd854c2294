"""Fine-tuning for extractive question answering.

Dimension letters: W windows, T sequence.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hierbert_tf.config_finetuning import FinetuningConfig
from hierbert_tf.downstream.batches import ExampleBatches
from hierbert_tf.downstream.question_examples import QuestionExample, read_question_examples
from hierbert_tf.evaluation.baselines import BaselineScore, question_baselines
from hierbert_tf.evaluation.null_threshold import best_threshold
from hierbert_tf.evaluation.report.questions import write_question_report
from hierbert_tf.evaluation.squad_files import write_predictions
from hierbert_tf.evaluation.squad_scores import squad_scores
from hierbert_tf.finetuning.encoder import StartingEncoder
from hierbert_tf.finetuning.task import DownstreamTask, tokenised_rows
from hierbert_tf.models.question_answering import HierarchicalBertQuestionAnswering
from hierbert_tf.models.question_answering_preprocessor import (
    HierarchicalBertQuestionAnsweringPreprocessor,
)
from hierbert_tf.models.question_texts import ANSWER_END, ANSWER_START

OUTPUTS = (ANSWER_START, ANSWER_END)
_KIND, _ANSWERED, _IMPOSSIBLE = "kind", 1, 2
# Questions answered at once.
PREDICTION_BATCH = 64


class QuestionAnswering(DownstreamTask):
    """Sets of questions on contexts.

    Args:
        config: the run's settings.
        encoder: where the models start.

    Raises:
        InputError: a set cannot be read or has no questions that can be used.
    """

    def __init__(self, config: FinetuningConfig, encoder: StartingEncoder) -> None:
        super().__init__(config, encoder)
        self.training = self.drawn(
            [
                example
                for source in config.data.train
                for example in self._read(source, "train", for_training=True)
            ]
        )
        self.sets = {
            name: self._read(source, "validation", for_training=False)
            for name, source in config.data.evaluate.items()
        }

    @property
    def outputs(self) -> tuple[str, ...]:
        """The two ends of the answer."""
        return OUTPUTS

    def build(self, seed: int) -> HierarchicalBertQuestionAnswering:
        """The model of a seed."""
        model = self.config.model
        impossible = any(example.is_impossible for example in self.training)
        return HierarchicalBertQuestionAnswering(
            self.encoder.backbone_for(seed),
            layer=self.encoder.head_layer,
            preprocessor=self._preprocessor(self.config.data.length_multiple),
            dropout=model.dropout,
            max_answer_length=model.max_answer_length,
            # A model that never saw a question without an answer answers each.
            null_threshold=model.null_threshold if impossible else None,
            seed=seed,
        )

    def training_rows(self, seed: int) -> ExampleBatches:
        """One row a window."""
        return self._labelled_rows(self.training, seed, for_training=True)

    def watched_rows(self, seed: int) -> ExampleBatches | None:
        """Windows of questions of the first set, drawn by the seed, that have an answer's place."""
        for examples in self.sets.values():
            few = self.config.monitor.evaluation_batches * self.config.data.batch_size
            order = np.random.default_rng([seed, 3]).permutation(len(examples))
            few_examples = [examples[i] for i in order[:few]]
            return self._labelled_rows(few_examples, seed, for_training=False)
        return None

    def score(
        self, model: Any, name: str, folder: Path, facts: Mapping[str, str]
    ) -> dict[str, float]:
        """Writes `predictions.json`, `null_odds.json`, `nbest_predictions.json`, `report.html`."""
        examples = self.sets[name]
        answers = model.answer(
            [example.question for example in examples],
            [example.context for example in examples],
            n_best=self.config.model.n_best,
            batch_size=PREDICTION_BATCH,
        )
        by_id = {e.id: answer for e, answer in zip(examples, answers, strict=True)}
        golds = {e.id: [gold.text for gold in e.answers] for e in examples}
        version = _version(examples)
        threshold = self.config.model.null_threshold if version == "2.0" else None
        folder.mkdir(parents=True, exist_ok=True)
        write_predictions(folder, by_id, threshold)
        scores = squad_scores(
            golds,
            {key: answer.text(threshold) for key, answer in by_id.items()},
            version=version,
        )
        metrics = scores.as_dict()
        if version == "2.0":
            best = best_threshold(
                golds,
                {key: answer.text() for key, answer in by_id.items()},
                {key: answer.null_odds for key, answer in by_id.items()},
            )
            metrics |= {
                "best_exact": best.best_exact,
                "best_exact_threshold": best.threshold_exact,
                "best_f1": best.best_f1,
                "best_f1_threshold": best.threshold_f1,
            }
        write_question_report(
            folder / "report.html",
            title=f"{Path(self.config.folder).name}: {name}",
            examples=examples,
            answers=answers,
            scores=scores,
            facts=facts,
            null_threshold=threshold,
        )
        return metrics

    def baselines(self) -> dict[str, list[BaselineScore]]:
        """The most frequent span."""
        return {
            name: question_baselines(self.training, examples, _version(examples))
            for name, examples in self.sets.items()
        }

    def _read(self, source: str, split: str, *, for_training: bool) -> list[QuestionExample]:
        found = read_question_examples(source, for_training=for_training, tfds_split=split)
        return self.counted(source, found, "question")

    def _labelled_rows(
        self, examples: Sequence[QuestionExample], seed: int, *, for_training: bool
    ) -> ExampleBatches:
        # All chunks as wide: the batches are cut to their own lengths afterwards.
        wide = self._preprocessor(length_multiple=0)

        def tokenise(chunk: Sequence[QuestionExample]) -> dict[str, Any]:
            # The first gold answer is the one to learn, as in BERT. A set to evaluate on may not
            # know the place of any: what is then to learn is not known either.
            golds = [next((a for a in e.answers if a.start >= 0), None) for e in chunk]
            # A window's weight is its question's: so it says what its question is.
            kinds = [_ANSWERED if g else 0 if e.answers else _IMPOSSIBLE
                     for e, g in zip(chunk, golds, strict=True)]  # fmt: skip
            features, labels, weights = wide(
                {"question": [e.question for e in chunk], "context": [e.context for e in chunk]},
                {
                    ANSWER_START: np.array([g.start if g else 0 for g in golds], np.int32),
                    "answer_text": [g.text if g else "" for g in golds],
                },
                np.array(kinds, np.float32),
            )
            rows = {**features, **labels, _KIND: weights}
            kept = np.asarray(weights) > 0
            if for_training and not kept.all():
                warnings.warn(
                    f"{(~kept).sum()} windows are not trained on: no token stands for their "
                    "answer, which has no visible character",
                    stacklevel=2,
                )
            return {name: np.asarray(values)[kept] for name, values in rows.items()}

        rows = tokenised_rows(examples, tokenise)
        misses = (rows.pop(_KIND) == _ANSWERED) & (rows[ANSWER_START] == 0)
        if for_training:
            drawn = np.random.default_rng([seed, 4]).random(len(misses))
            kept = ~misses | (drawn < self.config.data.null_windows)
            rows = {name: values[kept] for name, values in rows.items()}
        labels = {name: rows.pop(name) for name in OUTPUTS}
        return self.batches(rows, labels, seed)

    def _preprocessor(self, length_multiple: int) -> HierarchicalBertQuestionAnsweringPreprocessor:
        data = self.config.data
        return HierarchicalBertQuestionAnsweringPreprocessor(
            self.encoder.tokenizer,
            sequence_length=data.sequence_length,
            stride=data.stride,
            max_question_length=data.max_question_length,
            length_multiple=length_multiple,
        )


def _version(examples: Sequence[QuestionExample]) -> str:
    """The rules that a set is scored by: 2.0's where a question has no answer."""
    return "1.1" if all(example.answers for example in examples) else "2.0"

"""Fine-tuning for textual entailment and other classifications of one text or two."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hierbert_tf.config_finetuning import FinetuningConfig
from hierbert_tf.downstream.batches import ExampleBatches
from hierbert_tf.downstream.text_examples import (
    TextExample,
    check_labels,
    label_names,
    read_text_examples,
)
from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.baselines import BaselineScore, text_baselines
from hierbert_tf.evaluation.classification_scores import classification_scores
from hierbert_tf.evaluation.report.classification import write_classification_report
from hierbert_tf.finetuning.encoder import StartingEncoder
from hierbert_tf.finetuning.task import DownstreamTask, row_logits, tokenised_rows
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.models.text_classifier_preprocessor import (
    HierarchicalBertTextClassifierPreprocessor,
)
from hierbert_tf.storage import write_text

OUTPUT = "classification"


class TextClassification(DownstreamTask):
    """Sets of texts or pairs with a label.

    Args:
        config: the run's settings.
        encoder: where the models start.

    Raises:
        InputError: a set cannot be read, has no examples, or labels that training has not.
    """

    def __init__(self, config: FinetuningConfig, encoder: StartingEncoder) -> None:
        super().__init__(config, encoder)
        labelled = [e for source in config.data.train for e in self._read(source, "train")]
        self.training = [example for example in labelled if example.label is not None]
        if len(self.training) < len(labelled):
            raise InputError(
                f"data.train: {len(labelled) - len(self.training)} of {len(labelled)} examples "
                "have no label; name the label's field in data.label_field"
            )
        self.labels = label_names(self.training)
        if len(self.labels) < 2:
            raise InputError(f"data.train has only the label {self.labels[0]!r}; two are needed")
        self.training = self.drawn(self.training)
        for name, source in config.data.evaluate.items():
            self.sets[name] = self._read(source, "validation")
            check_labels(self.sets[name], self.labels, source)
        paired = {example.text_b is not None for example in self.training}
        for name, examples in self.sets.items():
            if {example.text_b is not None for example in examples} != paired:
                raise InputError(
                    f"data.evaluate.{name} and data.train differ in whether an example has one text"
                    " or two; name the text fields in data.fields"
                )

    @property
    def outputs(self) -> tuple[str, ...]:
        """One output."""
        return (OUTPUT,)

    def record(self) -> dict[str, Any]:
        """How many texts an example has."""
        return {"text_fields": 1 if self.training[0].text_b is None else 2}

    def build(self, seed: int) -> HierarchicalBertTextClassifier:
        """The classifier of a seed."""
        model = self.config.model
        return HierarchicalBertTextClassifier(
            self.encoder.backbone_for(seed),
            num_classes=len(self.labels),
            labels=self.labels,
            layer=self.encoder.head_layer,
            pooling=model.pooling,
            preprocessor=self._preprocessor(self.config.data.length_multiple),
            dropout=model.dropout,
            seed=seed,
        )

    def training_rows(self, seed: int) -> ExampleBatches:
        """One row an example."""
        return self._rows(self.training, seed)

    def watched_rows(self, seed: int) -> ExampleBatches | None:
        """Rows of the first set that has labels."""
        for examples in self.sets.values():
            if examples[0].label is not None:
                return self._rows(examples, seed)
        return None

    def score(
        self, model: Any, name: str, folder: Path, facts: Mapping[str, str]
    ) -> dict[str, float]:
        """Writes `predictions.jsonl` and, where the set has labels, `report.html`."""
        examples = self.sets[name]
        rows = self._rows(examples, seed=0)
        logits = row_logits(model, rows).astype(np.float64)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = exponents / exponents.sum(axis=1, keepdims=True)
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps(
                {
                    "id": example.id,
                    "label": self.labels[int(row.argmax())],
                    "gold": example.label,
                    "probabilities": dict(zip(self.labels, row.tolist(), strict=True)),
                },
                ensure_ascii=False,
            )
            for example, row in zip(examples, probabilities, strict=True)
        ]
        write_text(folder / "predictions.jsonl", "\n".join(lines) + "\n")
        if examples[0].label is None:
            return {}
        gold = rows.labels[OUTPUT]
        scores = classification_scores(gold, probabilities, self.labels)
        write_classification_report(
            folder / "report.html",
            title=f"{Path(self.config.folder).name}: {name}",
            labels=self.labels,
            examples=examples,
            gold=gold,
            probabilities=probabilities,
            token_lengths=rows.lengths,
            facts=facts,
        )
        return scores.as_dict()

    def baselines(self) -> dict[str, list[BaselineScore]]:
        """Majority class and bags of words."""
        sets = {name: some for name, some in self.sets.items() if some[0].label is not None}
        return text_baselines(self.training, sets)

    def _read(self, source: str, split: str) -> list[TextExample]:
        data = self.config.data
        found = read_text_examples(
            source, fields=data.fields, label_field=data.label_field, tfds_split=split
        )
        return self.counted(source, found, "example")

    def _preprocessor(self, length_multiple: int) -> HierarchicalBertTextClassifierPreprocessor:
        return HierarchicalBertTextClassifierPreprocessor(
            self.encoder.tokenizer,
            sequence_length=self.config.data.sequence_length,
            length_multiple=length_multiple,
            labels=self.labels,
        )

    def _rows(self, examples: Sequence[TextExample], seed: int) -> ExampleBatches:
        # All chunks as wide: the batches are cut to their own lengths afterwards.
        wide = self._preprocessor(length_multiple=0)

        def tokenise(chunk: Sequence[TextExample]) -> Any:
            first = [example.text_a for example in chunk]
            if chunk[0].text_b is None:
                return wide(first)
            return wide((first, [example.text_b or "" for example in chunk]))

        numbers = {label: number for number, label in enumerate(self.labels)}
        labels = np.array([numbers.get(example.label or "", -1) for example in examples])
        return self.batches(tokenised_rows(examples, tokenise), {OUTPUT: labels}, seed)

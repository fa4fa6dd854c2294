"""The model card: what a user of an export must know of it."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

import hierbert_tf
from hierbert_tf.config import RunConfig
from hierbert_tf.config_export import ExportConfig
from hierbert_tf.config_file import settings_sha256
from hierbert_tf.models.weights_hash import weights_sha256
from hierbert_tf.serving.endpoint import Endpoint
from hierbert_tf.serving.load_model import LoadedModel
from hierbert_tf.serving.run_records import (
    pretraining_settings,
    run_record,
    text_of,
    tuning_settings,
)

NOT_STATED = "not stated"

_LIMITS = """\
- It knows the text it was trained on and no other: another domain or language needs other training.
- It repeats what that text says about people and groups, prejudice included; check it on your own
  data before it decides anything about anybody.
- Texts are cut to the encoder's positions, but for the contexts of `answer`, which are read in
  overlapping windows.
- A probability is the model's own, not calibrated; the reports of the fine-tuning run show how far
  it can be trusted."""


def model_card(
    name: str, found: LoadedModel, config: ExportConfig, endpoints: Sequence[Endpoint]
) -> str:
    """Writes the card, in the form of Hugging Face's: YAML facts, then text.

    Only what the run wrote about itself is in it; what is absent is said to be.

    Args:
        name: what the export is called.
        found: the model and where its run is.
        config: the settings of the export.
        endpoints: the signatures.

    Returns:
        Markdown.
    """
    tuned, record = tuning_settings(found.folder), run_record(found.folder)
    run = _pretraining_run(found.folder, tuned)
    pretraining = pretraining_settings(run) if run else None
    licence = config.text_licence or NOT_STATED
    facts = {
        "library_name": "hierbert_tf",
        "license": licence,
        "language": pretraining.corpus.language if pretraining else NOT_STATED,
        "tags": [type(found.model).__name__, *(endpoint.name for endpoint in endpoints)],
    }
    parts = [
        f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---",
        f"# {name}",
        f"Exported on {datetime.date.today()} by hierbert_tf {hierbert_tf.__version__} from "
        f"`{config.model}`.",
        "## Model",
        _table(_model_facts(found, config, tuned, pretraining)),
        "## Signatures",
        "\n".join(_signature(endpoint) for endpoint in endpoints),
        "## Training data",
        _training_data(found.folder, run, tuned, licence),
        "## Scores",
        _scores(found.folder, record),
        "## Use and limits",
        _LIMITS,
    ]
    return "\n\n".join(parts) + "\n"


def _pretraining_run(folder: Path, tuned: Any) -> Path | None:
    """The folder of the pre-training run, where it can still be found."""
    for path in (folder, Path(tuned.model.path) if tuned else None):
        for place in (path, path.parent) if path else ():
            if pretraining_settings(place) is not None:
                return place
    return None


def _model_facts(
    found: LoadedModel, config: ExportConfig, tuned: Any, pretraining: RunConfig | None
) -> dict[str, Any]:
    backbone, model = found.backbone, found.model
    facts: dict[str, Any] = {
        "kind": type(model).__name__,
        "encoder": f"{backbone.num_layers} layers, hidden {backbone.hidden_dim}, "
        f"{backbone.num_heads} heads, {backbone.max_sequence_length} positions, "
        f"{backbone.vocabulary_size} WordPieces",
        "parameters": f"{model.count_params():,}",
        "transfers": ", ".join(f"{t['source']} by {t['by']}" for t in backbone.transfers) or "none",
        "weights kept in": config.weights,
        "weights, sha256": weights_sha256(model)[:12],
    }
    if pretraining:
        facts["pre-training tasks"] = ", ".join(
            f"{task.name} at layer {task.layer}" for task in pretraining.tasks
        )
        facts["pre-training"] = (
            f"{pretraining.training.steps} steps, seed {pretraining.seed}, settings "
            f"{settings_sha256(pretraining)[:12]}"
        )
    if getattr(model, "labels", None):
        facts["labels"] = ", ".join(model.labels)
    if hasattr(model, "layer"):
        facts["the head reads layer"] = "the last" if model.layer is None else model.layer
    if tuned:
        facts["fine-tuning"] = (
            f"{tuned.training.epochs:g} epochs, settings {settings_sha256(tuned)[:12]}"
        )
    embed = config.embed
    facts["embed"] = f"layer {embed.layer}, {embed.pooling} pooling"
    return facts


def _signature(endpoint: Endpoint) -> str:
    inputs = ", ".join(
        f"`{spec.name}` {spec.dtype.name} {[size or 'any' for size in spec.shape]}"
        for spec in endpoint.inputs
    )
    return f"- `{endpoint.name}`: {inputs}".replace("'", "")


def _training_data(folder: Path, run: Path | None, tuned: Any, licence: str) -> str:
    parts = [f"Licence of the text: {licence}."]
    if tuned:
        parts.append(
            "Fine-tuned on " + ", ".join(f"`{source}`" for source in tuned.data.train) + "."
        )
        parts.append(text_of(folder.parent / "examples.md"))
    report = text_of(run / "corpus_report.md") if run else ""
    parts.append("Pre-trained on:" if report else f"Text of the pre-training: {NOT_STATED}.")
    return "\n\n".join(part for part in [*parts, report] if part)


def _scores(folder: Path, record: Mapping[str, Any]) -> str:
    scores = record.get("scores", {})
    if scores:
        rows = {
            f"{name}, {metric}": f"{value:.4g}"
            for name, metrics in scores.items()
            for metric, value in metrics.items()
        }
        seed = record.get("identity", {}).get("seed", NOT_STATED)
        return f"Seed {seed}, commit {record.get('commit', NOT_STATED)}.\n\n{_table(rows)}"
    return text_of(folder / "summary.md") or f"Scores: {NOT_STATED}."


def _table(rows: Mapping[str, Any]) -> str:
    return "\n".join(["|  |  |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items())])

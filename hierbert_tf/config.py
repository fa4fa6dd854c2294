"""Every setting of a run, with its default: the defaults are the main recipe.

A YAML file or dotted overrides (`training.steps=5000`) replace them; `hierbert_tf.config_file`
reads those. The classes are frozen: settings are fixed before the first step and are written,
resolved, into the run folder.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SourceConfig:
    """One text source of the corpus.

    Args:
        path: file or folder; `.gz`, `.bz2`, `.xz` and `.zst` are read through. The name
            `wikipedia_excerpt` stands for the excerpt of an English Wikipedia that gensim ships.
        format: `text`, `json_lines`, `wikipedia`, `squad`, `squad_pairs`, `nli`, `glue`,
            `tfds`, or `auto` (by the file's name and first bytes).
        document_break: for `text`: `blank_line` (a blank line ends a document), `paragraph` (a
            blank line ends a paragraph, a file is a document) or `line` (a line is a document).
        fields: the text field(s): of `json_lines` and `tfds` (two fields make a pair), or the two
            columns of a `glue` table without known column names.
        tfds_name: for `tfds`: a TFDS name such as `wiki40b/en` or `glue/rte`.
        split: for `tfds`: the split, such as `train`.
    """

    path: str = ""
    format: str = "auto"
    document_break: str = "blank_line"
    fields: tuple[str, ...] = ()
    tfds_name: str = ""
    split: str = "train"


@dataclass(frozen=True)
class CorpusConfig:
    """The text and how it becomes sentences.

    Args:
        sources: where the text comes from.
        language: ISO 639-1 code for the sentence splitter.
        held_out_fraction: share of the documents that is kept from training and evaluated on.
        shard_tokens: WordPieces a shard file holds, about.
        remove_duplicates: of equal paragraphs, and of equal pairs, keep only the first.
    """

    sources: tuple[SourceConfig, ...] = (SourceConfig(path="wikipedia_excerpt"),)
    language: str = "en"
    held_out_fraction: float = 0.1
    shard_tokens: int = 262_144
    remove_duplicates: bool = False


@dataclass(frozen=True)
class VocabularyConfig:
    """The WordPiece vocabulary.

    Args:
        path: a `vocab.txt` (one entry a line); empty: learn one from the corpus.
        size: entries to learn, the five special tokens included.
        lowercase: lower-case and strip accents before tokenising.
    """

    path: str = ""
    size: int = 4096
    lowercase: bool = True


@dataclass(frozen=True)
class DataConfig:
    """Sequences and batches.

    Args:
        sequence_length: longest sequence T in tokens, special tokens included.
        batch_size: sequences a step, over all replicas and accumulated micro-batches.
        length_multiple: batches are cut to the smallest multiple of this many tokens that holds
            their longest sequence, so that short pairs are not padded to T. 0: pad to T.
        window_shards: shards read and shuffled together.
    """

    sequence_length: int = 128
    batch_size: int = 16
    length_multiple: int = 16
    window_shards: int = 8


@dataclass(frozen=True)
class EncoderConfig:
    """The encoder: BERT's post-LN architecture.

    Args:
        layers: encoder blocks L.
        hidden: hidden dimension H.
        heads: attention heads A; must divide `hidden`.
        intermediate: feed-forward dimension; 0: four times `hidden`.
        dropout: rate after the embeddings, the attention output and the feed-forward output.
        attention_dropout: rate on the attention probabilities.
        positions: position embeddings, the longest sequence the encoder can read.
    """

    layers: int = 4
    hidden: int = 128
    heads: int = 4
    intermediate: int = 0
    dropout: float = 0.1
    attention_dropout: float = 0.1
    positions: int = 512


@dataclass(frozen=True)
class ReceivesConfig:
    """What a task receives from another task at or below its layer.

    Args:
        source: the giving task's name (`from` in YAML).
        by: `concat`, `add`, `gate` or `label_embedding`.
        into: `block` (the encoder block after the giving task's layer) or `head` (the receiving
            task's head alone).
        stop_gradient: the receiving task's loss does not train the giving task's pooler.
    """

    source: str
    by: str = "concat"
    into: str = "block"
    stop_gradient: bool = False


@dataclass(frozen=True)
class TaskConfig:
    """One pre-training task at one layer.

    Args:
        name: a registered task: `masked_lm`, `next_sentence`, `bigram_shift`, `sentence_order`.
        layer: the encoder layer that its head reads, 0 (embeddings) to L.
        weight: factor of its loss in the sum; 0 keeps the corruption and drops the loss.
        receives: transfer from another task.
        options: the task's own settings, see its class.
    """

    name: str
    layer: int
    weight: float = 1.0
    receives: ReceivesConfig | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingConfig:
    """Optimisation.

    Args:
        steps: optimizer steps of the run.
        learning_rate: peak.
        schedule: `linear`, `cosine` or `constant`, after a linear warmup.
        warmup_steps: steps from 0 to the peak.
        weight_decay: decoupled; not on biases and LayerNorm.
        clip_norm: bound on the gradients' global norm; 0: none.
        accumulation: micro-batches a step; divides the batch size.
        precision: `float32`, `mixed_bfloat16` or `mixed_float16`.
        xla: compile the training step with XLA.
        uncertainty_weights: learn the tasks' weights (Kendall et al., 2018).
        deterministic: ask TensorFlow for deterministic ops, as exact resume needs.
    """

    steps: int = 1200
    learning_rate: float = 1e-3
    schedule: str = "linear"
    warmup_steps: int = 100
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    accumulation: int = 1
    precision: str = "float32"
    xla: bool = False
    uncertainty_weights: bool = False
    deterministic: bool = True


@dataclass(frozen=True)
class MonitorConfig:
    """What is written while the run goes, and how often (in steps).

    Args:
        log_every: means of losses and accuracies, learning rate, gradient norm, tokens/s.
        evaluate_every: losses and accuracies on held-out documents; 0: at start and end only.
        evaluation_batches: held-out batches an evaluation reads; 0: all.
        cosine_every: cosine between the tasks' gradients, per layer; 0: never.
        checkpoint_every: steps between checkpoints.
        keep_checkpoints: newest checkpoints kept.
    """

    log_every: int = 20
    evaluate_every: int = 300
    evaluation_batches: int = 0
    cosine_every: int = 100
    checkpoint_every: int = 200
    keep_checkpoints: int = 3


@dataclass(frozen=True)
class RunConfig:
    """A whole pre-training run.

    Example:

    >>> RunConfig().encoder.layers
    4
    """

    folder: str = "runs/wikipedia_excerpt"
    seed: int = 42
    corpus: CorpusConfig = CorpusConfig()
    vocabulary: VocabularyConfig = VocabularyConfig()
    data: DataConfig = DataConfig()
    encoder: EncoderConfig = EncoderConfig()
    tasks: tuple[TaskConfig, ...] = (
        TaskConfig("next_sentence", layer=2),
        TaskConfig("bigram_shift", layer=2),
        TaskConfig("masked_lm", layer=4, receives=ReceivesConfig("next_sentence")),
    )
    training: TrainingConfig = TrainingConfig()
    monitor: MonitorConfig = MonitorConfig()

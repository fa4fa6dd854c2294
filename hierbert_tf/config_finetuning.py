"""Every setting of a fine-tuning run, with its default.

A YAML file or dotted overrides (`training.epochs=5`) replace them; `hierbert_tf.config_file` reads
those into `FinetuningConfig`.
"""

from dataclasses import dataclass, field

from hierbert_tf.config import MonitorConfig

CLASSIFICATION = "text_classification"
QUESTION_ANSWERING = "question_answering"


@dataclass(frozen=True)
class LabelledDataConfig:
    """The labelled examples and how they become batches.

    Args:
        train: files to train on, or TFDS names such as `tfds:glue/rte` (split `train`) and
            `tfds:snli@test`.
        evaluate: what to score on, by the name that the tables give it; files or TFDS names.
        fields: for classification: the one or two text fields, where they are not found by name.
        label_field: for classification: the label's field, where it is not found by name.
        train_examples: train on so many of the examples, drawn by the seed; 0: all.
        batch_size: sequences a step.
        sequence_length: longest sequence T in tokens, special tokens included.
        length_multiple: batches are cut to the smallest multiple of this many tokens that holds
            their longest sequence; 0: pad to T.
        stride: for questions: tokens from one window of a context to the next, as in BERT.
        max_question_length: for questions: tokens a question is cut to.
        null_windows: for questions: share of the training windows that miss their question's answer
            that is kept, drawn by the seed. Short windows have many of them, and they teach little
            about where an answer stands.
    """

    train: tuple[str, ...] = ()
    evaluate: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    label_field: str = ""
    train_examples: int = 0
    batch_size: int = 32
    sequence_length: int = 128
    length_multiple: int = 16
    stride: int = 64
    max_question_length: int = 32
    null_windows: float = 1.0


@dataclass(frozen=True)
class ModelConfig:
    """The model: which encoder, and what stands on it.

    Args:
        path: a pre-training run, its `encoder` folder, or a preset.
        random_weights: take the encoder's architecture and vocabulary, not its weights: the
            comparison that says what pre-training was worth.
        layer: what the head reads: `last`, a layer's number from 0 (embeddings), or `mix`, a
            learned mean of all layers.
        pooling: for classification: `cls`, or `mean` over the tokens.
        keep_transfer: keep the transfer between pre-training tasks inside the encoder.
        dropout: rate in the encoder and before the head.
        freeze_below: the embeddings and this many blocks are not trained; -1: all are.
        lora_rank: train low-rank updates of this rank instead of the encoder's weights; 0: none.
        max_answer_length: for questions: longest answer in tokens.
        n_best: for questions: candidates kept for each question.
        null_threshold: for questions: where a set has questions without an answer, none is given
            if the null score exceeds the best answer's by more than this.
    """

    path: str = ""
    random_weights: bool = False
    layer: int | str = "last"
    pooling: str = "cls"
    keep_transfer: bool = True
    dropout: float = 0.1
    freeze_below: int = -1
    lora_rank: int = 0
    max_answer_length: int = 30
    n_best: int = 20
    null_threshold: float = 0.0


@dataclass(frozen=True)
class FinetuningTrainingConfig:
    """Optimisation.

    Args:
        epochs: passes over the training examples; may be a fraction.
        learning_rate: peak.
        layer_decay: the learning rate falls by this factor from the head to block L, and from each
            block to the one below.
        schedule: `linear`, `cosine` or `constant`, after a linear warmup.
        warmup_fraction: share of the steps from 0 to the peak.
        weight_decay: decoupled; not on biases and LayerNorm.
        clip_norm: bound on the gradients' global norm; 0: none.
        accumulation: micro-batches a step; divides the batch size.
        precision: `float32`, `mixed_bfloat16` or `mixed_float16`.
        deterministic: ask TensorFlow for deterministic ops, as exact resume needs.
    """

    epochs: float = 3.0
    learning_rate: float = 3e-4
    layer_decay: float = 1.0
    schedule: str = "linear"
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    accumulation: int = 1
    precision: str = "float32"
    deterministic: bool = True


@dataclass(frozen=True)
class FinetuningMonitorConfig(MonitorConfig):
    """What is written while a seed goes, as in `MonitorConfig`, with other defaults.

    Args:
        evaluate_every: steps between looks at the watched examples; 0: at start and end only.
        evaluation_batches: batches of the first set to evaluate that are watched, drawn by the
            seed; 0: none. The whole sets are scored at the end.
        cosine_every: cosine between the gradients of an answer's start and end; 0: never.
        checkpoint_every: steps between checkpoints.
        keep_checkpoints: newest checkpoints kept until the seed is done.
    """

    evaluate_every: int = 100
    evaluation_batches: int = 16
    cosine_every: int = 0
    checkpoint_every: int = 100
    keep_checkpoints: int = 1


@dataclass(frozen=True)
class FinetuningConfig:
    """A whole fine-tuning run: one model a seed.

    Args:
        folder: the run's folder.
        task: `text_classification` or `question_answering`.
        seed: the first seed; it draws the head's weights, the dropout and the order of examples.
        seeds: how many, `seed`, `seed + 1`, ...
        data: the examples.
        model: encoder and head.
        training: optimisation.
        monitor: what is written while a seed goes.

    Example:

    >>> FinetuningConfig().training.epochs
    3.0
    """

    folder: str = "runs/finetuned"
    task: str = CLASSIFICATION
    seed: int = 1
    seeds: int = 1
    data: LabelledDataConfig = LabelledDataConfig()
    model: ModelConfig = ModelConfig()
    training: FinetuningTrainingConfig = FinetuningTrainingConfig()
    monitor: FinetuningMonitorConfig = FinetuningMonitorConfig()

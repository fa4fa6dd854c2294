"""Every setting of a probing run, with its default.

A YAML file or dotted overrides (`classifier.kind=logistic_regression`) replace them;
`hierbert_tf.config_file` reads those into `ProbingConfig`.
"""

from dataclasses import dataclass, field

MLP = "mlp"
LOGISTIC_REGRESSION = "logistic_regression"

CLS, MEAN, MAX, FIRST_TOKEN, GIVEN = "cls", "mean", "max", "first_token", "given"
SENTENCE_POOLINGS = (CLS, MEAN, MAX)


@dataclass(frozen=True)
class ProbedConfig:
    """What is probed.

    Args:
        path: a run, a preset's folder, a `.keras` file, or a folder of precomputed vectors with a
            `TASK.npy` [N, D] or [layers, N, D] for each task.
        vocabulary: vocabulary file, where nothing beside the model names its tokenizer.
        lowercase: how to read that vocabulary's text.
        layers: layers to read, from 0 (embeddings); empty: all.
        poolings: how a layer's tokens become one vector: `cls`, `mean`, `max`. Word-level tasks
            read the first token of the word instead.
        sequence_length: longest sentence in tokens; longer ones are cut and counted; 0: the model's
            positions.
        batch_tokens: tokens a batch of the encoder, padding included.
        random_weights: probe the same encoder with random weights too, one a seed.
    """

    path: str = ""
    vocabulary: str = ""
    lowercase: bool = True
    layers: tuple[int, ...] = ()
    poolings: tuple[str, ...] = (CLS, MEAN)
    sequence_length: int = 0
    batch_tokens: int = 8192
    random_weights: bool = True


@dataclass(frozen=True)
class ProbeClassifierConfig:
    """The classifiers, by default by SentEval's protocol for probing tasks.

    Args:
        kind: `mlp`, one hidden layer of sigmoids trained by Adam, or `logistic_regression`,
            scikit-learn's, faster.
        hidden: for `mlp`: widths of the hidden layer; the best on validation is tested. 0: none,
            which makes it a logistic regression.
        dropout: for `mlp`: rates on the hidden layer, before the sigmoid; chosen likewise.
        linear_tasks: for `mlp`: tasks with very many classes, which get no hidden layer.
        learning_rate: for `mlp`: Adam's.
        batch_size: for `mlp`: examples a step.
        epoch_size: for `mlp`: passes over the training split between two looks at validation.
        tenacity: for `mlp`: looks without a new best that are forgiven; the next one ends it.
        max_epochs: for `mlp`: no pass begins after so many.
        inverse_regularisation: for `logistic_regression`: the values of C to choose from on
            validation.
    """

    kind: str = MLP
    hidden: tuple[int, ...] = (50, 100, 200)
    dropout: tuple[float, ...] = (0.0, 0.1, 0.2)
    linear_tasks: tuple[str, ...] = ("word_content",)
    learning_rate: float = 1e-3
    batch_size: int = 64
    epoch_size: int = 4
    tenacity: int = 5
    max_epochs: int = 200
    inverse_regularisation: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)


@dataclass(frozen=True)
class ProbingConfig:
    """A whole probing run.

    Args:
        folder: where the results go; empty: `probing` in the probed run's or preset's folder.
        data: folder of files in SentEval's format, `tr|va|te TAB label TAB sentence`, a task each.
        tasks: names of the tasks, which are the files' names without `.txt`; empty: all files.
        word_level: of these tasks the label column holds one label a word, separated by spaces.
        seed: the first seed; it draws the classifiers' weights, dropout and order of examples.
        seeds: how many, `seed`, `seed + 1`, ...
        control: also train on random labels (Hewitt & Liang, 2019) and report the selectivity.
        online_code: also report the minimum description length (Voita & Titov, 2020).
        model: what is probed.
        classifier: how.

    Example:

    >>> ProbingConfig().classifier.tenacity
    5
    """

    folder: str = ""
    data: str = ""
    tasks: tuple[str, ...] = ()
    word_level: tuple[str, ...] = ()
    seed: int = 1
    seeds: int = 1
    control: bool = True
    online_code: bool = False
    model: ProbedConfig = field(default_factory=ProbedConfig)
    classifier: ProbeClassifierConfig = field(default_factory=ProbeClassifierConfig)

"""The classifiers of one probing task: all at once, against a plain loop, one after another.

    python benchmarks/probing.py [--vectors FOLDER --task FILE] [--sample 9] [--rounds 3]

FOLDER holds TASK.npy [layers, examples, width], FILE is the task TASK.txt in SentEval's format.
Without them both are made up: layers of growing signal. Settings are the defaults: three widths,
three dropout rates, one seed. Each round trains the whole sweep at once, then a share of the sample
of single classifiers in Keras (`fit`) and in scikit-learn (`MLPClassifier`, which has no dropout),
by the same protocol. A loop over all is extrapolated from the sample, which holds each setting
equally often at random layers; `--sample 0` runs the whole loop. A test accuracy of the loop is
compared with that of the same layer and setting in the sweep. CPU time is printed too, since other
work on the machine disturbs it less.
"""

import argparse
import resource
import time
from pathlib import Path

import keras
import numpy as np
from sklearn.neural_network import MLPClassifier

from hierbert_tf.config_probing import ProbeClassifierConfig
from hierbert_tf.probing.early_stopping import EarlyStopping
from hierbert_tf.probing.example_files import read_probing_task
from hierbert_tf.probing.train_classifiers import Classifier, Examples, train_classifiers


def made_up(layers: int, counts: list[int], width: int, classes: int):
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, sum(counts))
    vectors = random.normal(size=[layers, sum(counts), width]).astype("float32")
    directions = random.normal(size=[classes, width]).astype("float32") / width**0.5
    for layer in range(layers):
        vectors[layer] += 2.0 * (layer + 1) / layers * directions[labels]
    return vectors, labels, np.repeat([0, 1, 2], counts)


class Clock:
    """Sums wall and CPU seconds."""

    def __init__(self):
        self.wall = self.cpu = 0.0

    def __enter__(self):
        self._start = time.perf_counter(), _cpu()

    def __exit__(self, *_):
        self.wall += time.perf_counter() - self._start[0]
        self.cpu += _cpu() - self._start[1]


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def by_protocol(one_look, settings):
    """The test accuracy of the kept weights; `one_look` trains on and gives both accuracies."""
    rule = EarlyStopping(1, settings.tenacity, settings.epoch_size, settings.max_epochs)
    kept = 0.0
    while rule.running[0]:
        validation, test = one_look()
        if rule.look(np.array([validation]))[0]:
            kept = test
    return kept


def by_keras(classifier, splits, settings, classes, seed, starting):
    (x, y), *others = splits
    keras.utils.set_random_seed(seed)
    layers = [keras.Input([x.shape[1]])]
    for inputs, outputs in ((x.shape[1], classifier.hidden), (classifier.hidden, classes)):
        initial = keras.initializers.RandomUniform(-(inputs**-0.5), inputs**-0.5)
        layers.append(
            keras.layers.Dense(outputs, kernel_initializer=initial, bias_initializer=initial)
        )
    layers[2:2] = [keras.layers.Dropout(classifier.dropout), keras.layers.Activation("sigmoid")]
    with starting:
        model = keras.Sequential(layers)
        model.compile(
            keras.optimizers.Adam(settings.learning_rate, epsilon=1e-8),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        # Traced on one batch and put back, to know what starting costs.
        model.optimizer.build(model.trainable_variables)
        variables = [*model.variables, *model.optimizer.variables]
        values = [variable.numpy() for variable in variables]
        model.fit(x[:64], y[:64], batch_size=settings.batch_size, verbose=0)
        model.predict(x[:64], verbose=0)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def one_look():
        model.fit(
            x, y, batch_size=settings.batch_size, epochs=settings.epoch_size, verbose=0
        )  # fmt: skip
        return [
            np.mean(model.predict(x, batch_size=1024, verbose=0).argmax(1) == y) for x, y in others
        ]

    return by_protocol(one_look, settings)


def by_scikit_learn(classifier, splits, settings, classes, seed):
    (x, y), *others = splits
    model = MLPClassifier(
        (classifier.hidden,), activation="logistic", alpha=0.0, batch_size=settings.batch_size,
        learning_rate_init=settings.learning_rate, random_state=seed,
    )  # fmt: skip

    def one_look():
        for _ in range(settings.epoch_size):
            model.partial_fit(x, y, classes=np.arange(classes))
        return [np.mean(model.predict(x) == y) for x, y in others]

    return by_protocol(one_look, settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--task", type=Path)
    parser.add_argument("--layers", type=int, default=5, help="of made-up vectors")
    parser.add_argument("--width", type=int, default=128, help="of made-up vectors")
    parser.add_argument("--classes", type=int, default=2, help="of made-up vectors")
    parser.add_argument("--examples", type=int, nargs=3, default=[5000, 600, 600])
    parser.add_argument("--sample", type=int, default=9, help="single classifiers; 0: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip", nargs="*", default=[], choices=["keras", "scikit-learn"])
    options = parser.parse_args()
    if options.vectors:
        task = read_probing_task(options.task)
        vectors = np.load(options.vectors / f"{task.name}.npy", mmap_mode="r")
        labels, split, classes = task.labels, task.splits, len(task.label_names)
    else:
        classes = options.classes
        vectors, labels, split = made_up(options.layers, options.examples, options.width, classes)
    settings = ProbeClassifierConfig()
    grid = [(hidden, rate) for hidden in settings.hidden for rate in settings.dropout]
    sweep = [Classifier(row, 1, *one) for row in range(len(vectors)) for one in grid]
    rows = [np.flatnonzero(split == one) for one in range(3)]
    random = np.random.default_rng(0)
    sample = list(range(len(sweep)))
    if options.sample:
        sample = [
            int(random.integers(len(vectors))) * len(grid) + number % len(grid)
            for number in range(options.sample)
        ]
    clocks = {name: Clock() for name in ("at once", "keras", "scikit-learn")}
    starting = Clock()
    tests: dict[str, list[float]] = {"keras": [], "scikit-learn": []}
    for turn in range(options.rounds):
        with clocks["at once"]:
            outcomes = train_classifiers(
                vectors, labels, Examples(*(row[None] for row in rows)), classes, sweep,
                settings, [1],
            )  # fmt: skip
        for index in sample[turn :: options.rounds]:
            data = [(np.asarray(vectors[sweep[index].row][row]), labels[row]) for row in rows]
            if "keras" not in options.skip:
                with clocks["keras"]:
                    found = by_keras(sweep[index], data, settings, classes, index, starting)
                tests["keras"].append(found - outcomes[index].test)
            if "scikit-learn" not in options.skip:
                with clocks["scikit-learn"]:
                    found = by_scikit_learn(sweep[index], data, settings, classes, index)
                tests["scikit-learn"].append(found - outcomes[index].test)
    wall = clocks["at once"].wall / options.rounds
    cpu = clocks["at once"].cpu / options.rounds
    counts = " + ".join(str(len(row)) for row in rows)
    print(f"{list(vectors.shape)} vectors, {classes} classes, {counts} examples, "
          f"{len(sweep)} classifiers")  # fmt: skip
    print(f"at once: {wall:.1f} s, {cpu:.1f} s of CPU")
    for name, differences in tests.items():
        if not differences:
            continue
        share = len(sweep) / len(differences)
        clock = clocks[name]
        print(f"{name}: {clock.wall * share:.1f} s, {clock.cpu * share:.1f} s of CPU "
              f"(from {len(differences)} of {len(sweep)}); ratio {clock.wall * share / wall:.1f} "
              f"of wall time, {clock.cpu * share / cpu:.1f} of CPU time")  # fmt: skip
        if name == "keras":
            wall_left, cpu_left = clock.wall - starting.wall, clock.cpu - starting.cpu
            print(f"  without building and tracing its models: {wall_left * share / wall:.1f} of "
                  f"wall time, {cpu_left * share / cpu:.1f} of CPU time")  # fmt: skip
        points = 100 * np.array(differences)
        error = points.std(ddof=1) / len(points) ** 0.5 if len(points) > 1 else float("nan")
        print(f"  test accuracy of the loop less that of the sweep: {points.mean():+.2f} points, "
              f"standard error {error:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()

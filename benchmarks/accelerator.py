"""Our model on one accelerator, by Keras' JAX backend: outputs against a CPU's, tokens/s, share.

    python benchmarks/accelerator.py batches.npz [--shapes L6-H256 BERT-base] [--batches 64 128 ...]

Runs where JAX, Keras and keras-hub are and TensorFlow is not; where it is, it is kept from being
imported. `batches.npz` comes from `benchmarks/write_batches.py`. For each shape:

1. the float32 logits, without dropout and in the highest matmul precision, against the file's
   (a CPU's, by TensorFlow): the largest difference must be within --tolerance, else exit code 1;
2. training steps (dropout 0.1, AdamW, global norm clipped at 1) in --precision, with batches that
   double until tokens/s grow by less than 3 % or the memory is full;
3. the share of the card's bfloat16 matmul ceiling (float32 with --precision float32), the best of
   square products, measured in the same process before and after.

FLOP are those of the matrix products, padding included: 6 for each weight that a token passes, and
attention; recomputation and element-wise work count nothing (XLA, which counts the latter, finds 1
to 2 % more in a step). Seconds are wall time between calls
that wait for the device. Run it with nothing else on the card.
"""

import argparse
import functools
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before Keras is imported. A package that finds None here cannot be imported.
os.environ["KERAS_BACKEND"] = "jax"
for absent in ("tensorflow", "tensorflow_text"):
    sys.modules[absent] = None  # type: ignore[assignment]
sys.path.append(str(Path(__file__).parents[1]))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from accelerator_model import POSITIONS, SHAPES, TASKS, Shape, build, outputs, rows  # noqa: E402
from scaling_plan import Plan, token_flop  # noqa: E402

from hierbert_tf.training.losses import weighted_sums  # noqa: E402

GAIN = 1.03
"""A batch twice as large must be this much faster to be worth it."""
ROUNDS = 3


def seconds_of(call: Callable[[], Any], at_least: float) -> float:
    """Median over rounds of the seconds of a call, which returns arrays of the device."""
    jax.block_until_ready(call())  # compiles
    jax.block_until_ready(call())
    begin = time.perf_counter()
    jax.block_until_ready(call())
    count = max(1, int(at_least / ROUNDS / (time.perf_counter() - begin)))
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(count):
            result = call()
        jax.block_until_ready(result)
        times.append((time.perf_counter() - begin) / count)
    return statistics.median(times)


def matmul_flops(sides: list[int], dtype: str, at_least: float) -> float:
    """FLOP/s of the best square product of random matrices, ten in a row."""

    @jax.jit
    def products(a: Any, b: Any) -> Any:
        # Each needs the one before; scaled so that the numbers neither vanish nor overflow.
        return jax.lax.fori_loop(0, 10, lambda _, x: (x @ b) * scale, a)

    best = 0.0
    for side in sides:
        scale = jnp.asarray(side**-0.5, dtype)
        keys = jax.random.split(jax.random.key(0))
        a, b = (jax.random.normal(key, (side, side), dtype) for key in keys)
        products.clear_cache()  # it closes over `scale`
        seconds = seconds_of(functools.partial(products, a, b), at_least)
        best = max(best, 10 * 2 * side**3 / seconds)
    return best


def compare(arrays: dict[str, np.ndarray], name: str) -> dict[str, tuple[float, float]]:
    """By task: the largest difference of float32 logits from the file's, and its largest logit."""
    expected = {task: arrays[f"{name}/{task}"] for task in TASKS}
    count = len(expected[TASKS[0]])
    features = rows(arrays, "x/", count)
    model = build(SHAPES[name], features["token_ids"].shape[1], dropout=0.0, dtype="float32")
    # By default a GPU rounds float32 factors to TF32's 10 bits.
    with jax.default_matmul_precision("highest"):
        found = outputs(model, features)
    return {
        task: (float(np.abs(found[task] - logits).max()), float(np.abs(logits).max()))
        for task, logits in expected.items()
    }


def training_step(model: keras.Model) -> tuple[Callable[..., Any], Any]:
    """A compiled step `(state, x, y, w) -> (state, loss)`, and its first state."""
    optimizer = keras.optimizers.AdamW(1e-4, weight_decay=0.01, global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)

    def loss(trainable: Any, other: Any, x: Any, y: Any, w: Any) -> Any:
        logits, other = model.stateless_call(trainable, other, x, training=True)
        total = 0.0
        for task in TASKS:
            losses, weights, _ = weighted_sums(y[task], logits[task], w[task])
            total += losses / jnp.maximum(weights, 1.0)
        return total, other

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: Any, x: Any, y: Any, w: Any) -> Any:
        trainable, other, moments = state
        gradient = jax.value_and_grad(loss, has_aux=True)
        (value, other), gradients = gradient(trainable, other, x, y, w)
        trainable, moments = optimizer.stateless_apply(moments, gradients, trainable)
        return (trainable, other, moments), value

    groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    # Copies: a step gives its state's memory back, and the model keeps its own.
    return step, tuple([jnp.array(variable.value) for variable in group] for group in groups)


def step_seconds(
    step: Callable[..., Any], state: Any, arrays: dict[str, np.ndarray], batch: int, at_least: float
) -> tuple[float, float, float]:
    """Seconds of a step with batches of B rows, and its first and last loss."""
    x, y, w = (jax.device_put(rows(arrays, prefix, batch)) for prefix in ("x/", "y/", "w/"))
    state = jax.tree.map(jnp.copy, state)
    seen = []

    def call() -> Any:
        nonlocal state
        state, loss = step(state, x, y, w)
        seen.append(loss)
        return loss

    seconds = seconds_of(call, at_least)
    return seconds, float(seen[0]), float(seen[-1])


def sweep(
    shape: Shape, arrays: dict[str, np.ndarray], batches: list[int], options: argparse.Namespace
) -> Iterator[dict[str, float]]:
    """Measures one batch size after the other, until one is not worth it or does not fit."""
    length = arrays["x/token_ids"].shape[1]
    masked = arrays[f"x/{POSITIONS}"].shape[1]
    plan = Plan(
        layers=shape.layers, hidden=shape.hidden, intermediate=4 * shape.hidden,
        vocabulary=shape.vocabulary, masked_share=masked / length, transfers=0,
    )  # fmt: skip
    flop = sum(token_flop(plan, length).values())
    step, state = training_step(build(shape, length, dropout=0.1, dtype=options.precision))
    real = float(arrays["x/padding_mask"].mean())
    best = 0.0
    for batch in batches:
        try:
            seconds, first, last = step_seconds(step, state, arrays, batch, options.seconds)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            print(f"  batch {batch}: the memory is full", flush=True)
            return
        tokens = batch * length / seconds
        yield {
            "batch": batch, "ms": seconds * 1e3, "tokens/s": tokens, "real tokens/s": tokens * real,
            "FLOP/s": tokens * flop, "first loss": first, "last loss": last,
        }  # fmt: skip
        if tokens < best * GAIN and not options.batches:
            return
        best = max(best, tokens)


def main(arguments: list[str] | None = None) -> int:
    """Prints the tables; exit code 1 where outputs differ, 2 for a file that cannot be used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="of benchmarks/write_batches.py")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["L6-H256", "BERT-base"])
    parser.add_argument("--batches", type=int, nargs="+", metavar="B", help="all of these, no more")
    parser.add_argument("--sides", type=int, nargs="+", default=[4096, 8192], help="of matrices")
    parser.add_argument("--seconds", type=float, default=3.0, help="of timing, a measurement (3)")
    parser.add_argument(
        "--precision", choices=["mixed_bfloat16", "float32"], default="mixed_bfloat16"
    )
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of the logits (1e-3)")
    options = parser.parse_args(arguments)
    try:
        with np.load(options.file) as file:
            arrays = dict(file)
    except (OSError, ValueError) as error:
        parser.error(f"{options.file} is no file of batches ({error}); see write_batches.py")
    for name in options.shapes:
        if f"{name}/{TASKS[0]}" not in arrays:
            parser.error(f"{options.file} holds no outputs of {name}; write it with --shapes")

    device = jax.devices()[0]
    where = platform.processor() or platform.machine()
    print(f"{device.device_kind} ({device.platform}), {where}, JAX {jax.__version__}, ", end="")
    print(f"Keras {keras.__version__}, Python {platform.python_version()}, {options.precision}")
    print(f"T {arrays['x/token_ids'].shape[1]}, ", end="")
    print(f"{arrays['x/padding_mask'].mean():.1%} of the positions are tokens\n", flush=True)
    failed = False
    for name in options.shapes:
        for task, (difference, largest) in compare(arrays, name).items():
            verdict = "as on the CPU" if difference <= options.tolerance else "NOT as on the CPU"
            failed |= not difference <= options.tolerance  # also NaN
            print(f"{name}, {task}: logits up to {largest:.2g}, ", end="")
            print(f"apart by at most {difference:.1e}: {verdict}")
    if failed:
        return 1

    dtype = "float32" if options.precision == "float32" else "bfloat16"
    before = matmul_flops(options.sides, dtype, options.seconds)
    lines = []
    for name in options.shapes:
        batches = options.batches or [32 * 2**power for power in range(12)]
        for row in sweep(SHAPES[name], arrays, batches, options):
            lines.append((name, row))
            print(f"  {name}, batch {row['batch']}: {row['tokens/s']:,.0f} tokens/s", flush=True)
    after = matmul_flops(options.sides, dtype, options.seconds)
    ceiling = max(before, after)
    print(f"\n{dtype} matmul: {before / 1e12:.4g} TFLOP/s before, {after / 1e12:.4g} after\n")
    print(
        "| model | batch | ms a step | tokens/s | without padding | TFLOP/s | of ceiling | loss |"
    )
    print("| --- | --: | --: | --: | --: | --: | --: | --: |")
    for name, row in lines:
        print(
            f"| {name} | {row['batch']:,} | {row['ms']:.1f} | {row['tokens/s']:,.0f} "
            f"| {row['real tokens/s']:,.0f} | {row['FLOP/s'] / 1e12:.4g} "
            f"| {row['FLOP/s'] / ceiling:.1%} "
            f"| {row['first loss']:.3f} to {row['last loss']:.3f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

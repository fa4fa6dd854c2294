"""One training step, side by side: ours, keras-hub's BERT, Hugging Face's BERT on PyTorch.

    python benchmarks/training_step.py [--torch-python PYTHON] [--rounds 8] [--precision float32]

Shape: L 6, H 256, A 4, T 128, batch 32, 20 masked positions, V 8192, dropout 0.1, next sentence and
masked LM, AdamW, gradients clipped at norm 1. PYTHON is an interpreter of an environment with torch
and transformers. Every arm is a process of its own with two threads; the arms take turns, two steps
each a round, so that the machine's drift falls on all of them. Prints medians and ratios of wall
time and of CPU time (which other work on the machine disturbs less), and the share of the matmul
ceiling that was measured in the same turns. An arm that cannot run is reported as missing.

Hugging Face's model projects all positions to the vocabulary, the others the masked ones alone.
Run it on a quiet machine: PyTorch's threads spin while they wait for one another, so that beside
other work its arm takes several times its time.
"""

import argparse
import json
import os
import subprocess
import sys
import time

V, L, A, H, T, B, P = 8192, 6, 4, 256, 128, 32, 20
BLOCK = 2 * B * T * (4 * H * H + 2 * H * 4 * H) + 4 * B * T * T * H
HEAD = 2 * B * P * (H * H + H * V)
STEP_FLOP = 3 * (L * BLOCK + HEAD)  # the backward pass has two products for each of the forward one
SIDE = 2048
ARMS = {
    "ours": "hierbert_tf",
    "keras_hub": "keras-hub",
    "torch": "Hugging Face",
    "matmul": "matmul",
}


def arrays():
    """A batch: no padding, two segments, 20 distinct masked positions a row."""
    import numpy as np

    random = np.random.default_rng(0)
    return {
        "token_ids": random.integers(5, V, (B, T)).astype("int32"),
        "segment_ids": np.tile((np.arange(T) >= T // 2).astype("int32"), (B, 1)),
        "padding_mask": np.ones((B, T), "int32"),
        "positions": np.stack([np.sort(random.permutation(T)[:P]) for _ in range(B)]).astype(
            "int32"
        ),
        "masked": random.integers(5, V, (B, P)).astype("int32"),
        "next": random.integers(0, 2, B).astype("int32"),
    }


def ours(precision):
    import tensorflow as tf

    import hierbert_tf
    from hierbert_tf.config import EncoderConfig, TaskConfig
    from hierbert_tf.training.step import TrainingStep

    tasks = (TaskConfig("next_sentence", layer=L), TaskConfig("masked_lm", layer=L))
    encoder = EncoderConfig(layers=L, hidden=H, heads=A)
    model = hierbert_tf.build_pretrainer(encoder, tasks, V, 1, dtype=precision)
    step = TrainingStep(model, tasks, hierbert_tf.AdamW(1e-4, global_clipnorm=1.0))
    batch = {name: tf.constant(array) for name, array in arrays().items()}
    features = {name: batch[name] for name in ("token_ids", "segment_ids", "padding_mask")}
    features["masked_lm_positions"] = batch["positions"]
    labels = {"next_sentence": batch["next"], "masked_lm": batch["masked"]}
    weights = {name: tf.ones(label.shape) for name, label in labels.items()}
    return lambda: float(step((features, labels, weights))["total/loss"])


def keras_hub(precision):
    import keras
    import keras_hub
    import tensorflow as tf

    backbone = keras_hub.models.BertBackbone(V, L, A, H, 4 * H, dropout=0.1, dtype=precision)
    positions = keras.Input((None,), dtype="int32", name="positions")
    head = keras_hub.layers.MaskedLMHead(
        token_embedding=backbone.token_embedding,
        intermediate_activation=lambda x: keras.activations.gelu(x, approximate=False),
        dtype=precision,
    )
    masked = head(backbone.output["sequence_output"], positions)
    following = keras.layers.Dense(2, dtype=precision)(backbone.output["pooled_output"])
    model = keras.Model({**backbone.input, "positions": positions}, [masked, following])
    optimizer = keras.optimizers.AdamW(1e-4, weight_decay=0.01, global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    batch = {name: tf.constant(array) for name, array in arrays().items()}
    inputs = {name: batch[name] for name in model.input}

    def loss(labels, logits):
        logits = tf.cast(logits, tf.float32)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            masked, following = model(inputs, training=True)
            total = loss(batch["masked"], masked) + loss(batch["next"], following)
        gradients = tape.gradient(total, [v.value for v in model.trainable_variables])
        optimizer.apply([tf.convert_to_tensor(g) for g in gradients], model.trainable_variables)
        return total

    return lambda: float(step())


def torch(precision):
    import torch
    import transformers

    torch.set_num_threads(2)
    config = transformers.BertConfig(
        vocab_size=V, hidden_size=H, num_hidden_layers=L, num_attention_heads=A,
        intermediate_size=4 * H,
    )  # fmt: skip
    model = transformers.BertForPreTraining(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    batch = {name: torch.tensor(array).long() for name, array in arrays().items()}
    labels = torch.full((B, T), -100).scatter_(1, batch["positions"], batch["masked"])

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed_bfloat16"):
            total = model(
                input_ids=batch["token_ids"], token_type_ids=batch["segment_ids"],
                attention_mask=batch["padding_mask"], labels=labels,
                next_sentence_label=batch["next"],
            ).loss  # fmt: skip
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(total.detach())

    return step


def matmul(precision):
    """A product of two square matrices, what the machine can do at best."""
    import tensorflow as tf

    dtype = tf.bfloat16 if precision == "mixed_bfloat16" else tf.float32
    square = tf.cast(tf.random.stateless_normal((SIDE, SIDE), [1, 2]), dtype)
    product = tf.function(lambda: tf.matmul(square, square)[0, 0])
    return lambda: float(product())


def work(arm, precision):
    """A worker: builds an arm, then runs as many steps as each line asks for."""
    step = {"ours": ours, "keras_hub": keras_hub, "torch": torch, "matmul": matmul}[arm](precision)
    loss = step()
    step()
    print(json.dumps({"loss": loss}), flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
        print(json.dumps(times), flush=True)


class Worker:
    """A process that runs one arm; `missing` says why it does not."""

    def __init__(self, python, arm, precision):
        self.missing, self.times = None, []
        environment = {**os.environ, "OMP_NUM_THREADS": "2", "TF_CPP_MIN_LOG_LEVEL": "2"}
        command = [python, __file__, "--worker", arm, "--precision", precision]
        try:
            self.process = subprocess.Popen(
                command, text=True, env=environment,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            self.missing = str(error)
            return
        line = self.process.stdout.readline()
        if not line:
            self.missing = self.process.communicate()[1].strip().splitlines()[-1]

    def run(self, steps):
        """Runs steps and keeps their wall and CPU seconds."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        self.times += json.loads(self.process.stdout.readline())

    def median(self, column):
        """Median wall (0) or CPU (1) seconds of a step."""
        values = sorted(pair[column] for pair in self.times)
        return values[len(values) // 2]

    def close(self):
        """Ends the process."""
        if not self.missing:
            self.process.communicate()


def compare(precision, torch_python, rounds):
    """Runs all arms in turns and prints a table."""
    workers = {}
    for arm in ARMS:
        python = torch_python if arm == "torch" else sys.executable
        workers[arm] = Worker(python, arm, precision) if python else None
    running = [worker for worker in workers.values() if worker and not worker.missing]
    for _ in range(rounds):
        for worker in running:
            worker.run(2)
    for worker in running:
        worker.close()
    print(f"\n{precision}, {rounds} rounds of 2 steps, load {os.getloadavg()[0]:.1f}")
    titles = ("", "wall s", "/ ours", "CPU s", "/ ours", "GFLOP/s", "of ceiling")
    print("{:14}{:>9}{:>9}{:>9}{:>9}{:>9}{:>12}".format(*titles))
    first, ceiling = workers["ours"], workers["matmul"]
    for arm, name in ARMS.items():
        worker = workers[arm]
        if worker is None or worker.missing:
            why = worker.missing if worker else "no --torch-python given"
            print(f"{name:14} missing: {why}")
            continue
        wall, cpu = worker.median(0), worker.median(1)
        flop = 2 * SIDE**3 if arm == "matmul" else STEP_FLOP
        row = f"{name:14}{wall:9.3f}{wall / first.median(0):9.2f}{cpu:9.3f}"
        row += f"{cpu / first.median(1):9.2f}{flop / wall / 1e9:9.0f}"
        if not ceiling.missing:
            share = (flop / wall) / (2 * SIDE**3 / ceiling.median(0))
            row += f"{share:12.0%}"
        print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch-python", help="interpreter with torch and transformers")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--precision", nargs="+", default=["float32", "mixed_bfloat16"])
    parser.add_argument("--worker", choices=ARMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.precision[0])
        return
    print(f"{STEP_FLOP / 1e9:.0f} GFLOP a step")
    for precision in options.precision:
        compare(precision, options.torch_python, options.rounds)


if __name__ == "__main__":
    main()

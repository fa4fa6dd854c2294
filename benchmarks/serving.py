"""Serving, side by side: our export, the Keras model in memory, Hugging Face's pipelines.

    python benchmarks/serving.py --run runs/mine [--torch-python PYTHON] [--rounds 10]

Sentence vectors and answers from strings: latency of one text, and throughput of batches of 32 of
mixed lengths. Shape: L 6, H 256, A 4, random weights, the run's vocabulary for all. The texts are
of the excerpt of English Wikipedia that gensim ships: sentences, and contexts of four to eight of
them. PYTHON is an interpreter of an environment with torch and transformers before 5, which dropped
the question-answering pipeline. Every arm is a process of its own with two threads; the arms take
turns, so that the machine's drift falls on all of them. The last table is our export's throughput
by batch size, from which the batching parameters are chosen.

"bare" is Hugging Face's tokenizer and model without its pipeline, under `inference_mode`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

L, A, H, WINDOW, STRIDE = 6, 4, 256, 384, 128
ARMS = {
    "export": "our export",
    "memory": "our Keras model in memory",
    "pipeline": "Hugging Face, pipeline",
    "bare": "Hugging Face, bare model",
}
SIZES = (1, 2, 4, 8, 16, 32, 64)


def prepare(run: Path, folder: Path) -> None:
    """Writes what the arms share: the export, the model, the vocabulary, the texts."""
    import numpy as np

    import hierbert_tf
    from hierbert_tf.config import SourceConfig
    from hierbert_tf.config_export import ExportConfig
    from hierbert_tf.corpus.reader import read_documents
    from hierbert_tf.corpus.sentences import split_sentences
    from hierbert_tf.corpus.statistics import ReadStatistics
    from hierbert_tf.serving.archive import write_saved_model
    from hierbert_tf.serving.endpoints_for import endpoints_for
    from hierbert_tf.serving.load_model import LoadedModel

    tokenizer = hierbert_tf.HierarchicalBertTokenizer(run / "vocab.txt")
    backbone = hierbert_tf.HierarchicalBertBackbone(tokenizer.vocabulary_size(), L, A, H, 4 * H)
    model = hierbert_tf.HierarchicalBertQuestionAnswering(
        backbone,
        preprocessor=hierbert_tf.HierarchicalBertQuestionAnsweringPreprocessor(
            tokenizer, WINDOW, STRIDE
        ),
    )
    write_saved_model(
        folder / "export", endpoints_for(LoadedModel(model, tokenizer, folder), ExportConfig())
    )
    model.save_to_preset(str(folder / "preset"))
    (folder / "vocab.txt").write_text((run / "vocab.txt").read_text())
    sentences: list[str] = []
    for document in read_documents(SourceConfig(path="wikipedia_excerpt"), ReadStatistics()):
        sentences += split_sentences(document)
        if len(sentences) > 4000:
            break
    draw = np.random.default_rng(0)
    contexts = [" ".join(draw.choice(sentences, draw.integers(4, 9)).tolist()) for _ in range(512)]
    texts = {"embed": draw.choice(sentences, 512).tolist(), "context": contexts,
             "question": draw.choice(sentences, 512).tolist()}  # fmt: skip
    (folder / "texts.json").write_text(json.dumps(texts))


def export_arm(folder: Path, texts):
    """Our export, as tf.saved_model.load gives it."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    signatures = tf.saved_model.load(str(folder / "export")).signatures

    def embed(some):
        return signatures["embed"](text=tf.constant(some))["embedding"].numpy()

    def answer(questions, contexts):
        found = signatures["answer"](question=tf.constant(questions), context=tf.constant(contexts))
        return found["answer"].numpy()

    return embed, answer


def memory_arm(folder: Path, texts):
    """The Keras model: its own predict, and one call of preprocessor, backbone and pooling."""
    import tensorflow as tf

    import hierbert_tf
    from hierbert_tf.probing.pooling import pool

    model = hierbert_tf.HierarchicalBertQuestionAnswering.from_preset(folder / "preset")
    preprocessor = hierbert_tf.HierarchicalBertTextClassifierPreprocessor(
        model.preprocessor.tokenizer, sequence_length=512
    )

    @tf.function(reduce_retracing=True)
    def run(features):
        sequence = model.backbone(features, training=False)["sequence_output"]
        return pool(sequence, features["padding_mask"], "mean")

    def embed(some):
        return run(preprocessor(some)).numpy()

    def answer(questions, contexts):
        texts = {"question": questions, "context": contexts}
        return model.predict(texts, batch_size=32, verbose=0)["answer"]

    return embed, answer


def hugging_face(folder: Path):
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=512)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), num_hidden_layers=L, num_attention_heads=A, hidden_size=H,
        intermediate_size=4 * H,
    )  # fmt: skip
    encoder = transformers.BertModel(config).eval()
    reader = transformers.BertForQuestionAnswering(config).eval()
    return torch, transformers, tokenizer, encoder, reader


def pipeline_arm(folder: Path, texts):
    """Hugging Face's pipelines."""
    _, transformers, tokenizer, encoder, reader = hugging_face(folder)
    features = transformers.pipeline(
        "feature-extraction", model=encoder, tokenizer=tokenizer, batch_size=32,
        tokenize_kwargs={"truncation": True}, device="cpu",
    )  # fmt: skip
    questions = transformers.pipeline(
        "question-answering", model=reader, tokenizer=tokenizer, batch_size=32, device="cpu"
    )

    def embed(some):
        import numpy as np

        return np.stack([np.mean(rows[0], axis=0) for rows in features(some)])

    def answer(some, contexts):
        return questions(
            question=some, context=contexts, max_seq_len=WINDOW, doc_stride=STRIDE,
            max_answer_len=30,
        )  # fmt: skip

    return embed, answer


def bare_arm(folder: Path, texts):
    """Hugging Face's tokenizer and model; no answers are extracted from the span logits."""
    torch, _, tokenizer, encoder, reader = hugging_face(folder)

    @torch.inference_mode()
    def embed(some):
        batch = tokenizer(some, padding=True, truncation=True, return_tensors="pt")
        hidden = encoder(**batch).last_hidden_state
        mask = batch["attention_mask"][:, :, None]
        return ((hidden * mask).sum(1) / mask.sum(1)).numpy()

    @torch.inference_mode()
    def answer(questions, contexts):
        batch = tokenizer(
            questions, contexts, padding=True, truncation="only_second", max_length=WINDOW,
            stride=64, return_overflowing_tokens=True, return_tensors="pt",
        )  # fmt: skip
        batch.pop("overflow_to_sample_mapping")
        return reader(**batch).start_logits.numpy()

    return embed, answer


def work(arm: str, folder: Path) -> None:
    """A worker: runs the task and batch size of each line it is given, and says the seconds."""
    texts = json.loads((folder / "texts.json").read_text())
    make = {"export": export_arm, "memory": memory_arm, "pipeline": pipeline_arm, "bare": bare_arm}
    embed, answer = make[arm](folder, texts)

    def run(task, first, size):
        some = slice(first % (512 - size), first % (512 - size) + size)
        if task == "embed":
            embed(texts["embed"][some])
        else:
            answer(texts["question"][some], texts["context"][some])

    for task in ("embed", "answer"):
        for size in (1, 32):
            for first in range(0, 320, 32):
                run(task, first, size)
    print("ready", flush=True)
    for line in sys.stdin:
        task, size, first, count = json.loads(line)
        seconds = []
        for number in range(count):
            begin = time.perf_counter()
            run(task, first + number * size, size)
            seconds.append(time.perf_counter() - begin)
        print(json.dumps(seconds), flush=True)


class Worker:
    """A process that runs one arm; `missing` says why it does not."""

    def __init__(self, python: str, arm: str, folder: Path) -> None:
        self.missing = ""
        environment = {**os.environ, "OMP_NUM_THREADS": "2", "TF_CPP_MIN_LOG_LEVEL": "3",
                       "TOKENIZERS_PARALLELISM": "true"}  # fmt: skip
        self.process = subprocess.Popen(
            [python, __file__, "--worker", arm, "--folder", str(folder)], text=True,
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        if self.process.stdout.readline().strip() != "ready":
            self.missing = self.process.communicate()[1].strip().splitlines()[-1]

    def run(self, task: str, size: int, first: int, count: int) -> list[float]:
        """Seconds of each call."""
        self.process.stdin.write(json.dumps([task, size, first, count]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def compare(run: Path, torch_python: str | None, rounds: int) -> None:
    """Runs the arms in turns and prints the tables."""
    import numpy as np

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(run, folder)
        workers = {}
        for arm, name in ARMS.items():
            python = sys.executable if arm in ("export", "memory") else torch_python
            if python is None:
                print(f"{name}: missing, no --torch-python given")
                continue
            worker = Worker(python, arm, folder)
            if worker.missing:
                print(f"{name}: missing, {worker.missing}")
            else:
                workers[arm] = worker
        for task in ("embed", "answer"):
            single: dict[str, list[float]] = {arm: [] for arm in workers}
            batches: dict[str, list[float]] = {arm: [] for arm in workers}
            for number in range(rounds):
                for arm, worker in workers.items():
                    single[arm] += worker.run(task, 1, 40 * number, 20)
                    batches[arm] += worker.run(task, 32, 32 * number, 2)
            print(f"\n`{task}`, load {os.getloadavg()[0]:.1f}\n\n| arm | p50, ms | p99, ms | "
                  "texts/s at 32 | ours / this |\n|---|---:|---:|---:|---:|")  # fmt: skip
            ours = np.array(batches["export"])
            for arm in workers:
                middle, late = 1e3 * np.percentile(single[arm], [50, 99])
                ratio = np.median(np.array(batches[arm]) / ours)
                rate = 32 / np.median(batches[arm])
                print(f"| {ARMS[arm]} | {middle:.1f} | {late:.1f} | {rate:.0f} | {ratio:.2f} x |")
        print("\n| batch size | `embed`, ms | texts/s | `answer`, ms | texts/s |\n|" + "---:|" * 5)
        for size in SIZES:
            cells = [str(size)]
            for task in ("embed", "answer"):
                middle = np.median(workers["export"].run(task, size, 0, 12))
                cells += [f"{1e3 * middle:.1f}", f"{size / middle:.0f}"]
            print(f"| {' | '.join(cells)} |")
        for worker in workers.values():
            worker.process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, help="a pre-training run, for its vocabulary")
    parser.add_argument("--torch-python", help="interpreter with torch and transformers")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.folder)
    elif options.run is None:
        parser.error("--run is missing")
    else:
        compare(options.run, options.torch_python, options.rounds)


if __name__ == "__main__":
    main()

"""The pages of the documentation that hold programs are run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def program(page: str) -> str:
    """The Python blocks of a page, one after the other."""
    return "\n".join(re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL))


def some_text() -> str:
    """Thirty short documents that a vocabulary can be learnt from."""
    subjects = ["the river", "a small town", "the old mill", "our teacher", "the long road"]
    verbs = ["crosses", "remembers", "follows", "leaves", "finds"]
    places = ["the green valley", "the market", "a quiet garden", "the harbour", "the bridge"]
    documents = []
    for n in range(30):
        sentences = [
            " ".join((subjects[(n + i) % 5], verbs[(n * i) % 5], places[(i + 2 * n) % 5])) + "."
            for i in range(12)
        ]
        documents.append(" ".join(sentence.capitalize() for sentence in sentences))
    return "\n\n".join(documents)


@pytest.mark.parametrize("page", ["quickstart.md"])
def test_a_page_runs(page, tmp_path):
    (tmp_path / "text.txt").write_text(some_text())
    done = subprocess.run(
        [sys.executable, "-c", program(page)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "layer_0" in done.stdout and "next_sentence_pooled" in done.stdout
    assert "val_masked_lm_loss" in done.stdout


def test_the_example_task_is_a_task(tmp_path):
    check = (
        "from hierbert_tf.config import TaskConfig, ReceivesConfig, EncoderConfig\n"
        "from hierbert_tf.models.pretrainer import build_pretrainer\n"
        "tasks = [TaskConfig('has_punctuation', 1), TaskConfig('masked_lm', 2, "
        "receives=ReceivesConfig('has_punctuation', by='gate'))]\n"
        "model = build_pretrainer(EncoderConfig(2, 8, 2, positions=16), tasks, 20, 0)\n"
        "print(sorted(model.output))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{program('add-a-task.md')}\n{check}"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "['has_punctuation', 'masked_lm']"


def test_the_page_on_fine_tuning_runs(tmp_path):
    before = (
        "from pathlib import Path\n"
        "import hierbert_tf\n"
        "tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'ada', 'came', 'grace', '.']\n"
        "tokenizer = hierbert_tf.HierarchicalBertTokenizer(tokens)\n"
        "encoder = hierbert_tf.HierarchicalBertBackbone(len(tokens), 2, 2, 8, 16)\n"
        "encoder.save_to_preset('runs/mine/encoder')\n"
        "tokenizer.save_to_preset('runs/mine/encoder')\n"
        "reader = hierbert_tf.HierarchicalBertQuestionAnswering.from_preset('runs/mine')\n"
        "reader.save_to_preset('runs/squad/seed_1/model')\n"
        "premises, hypotheses = ['Ada came.'] * 40, ['Grace came.'] * 40\n"
        "labels = [0, 1] * 20\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{program('finetune.md')}"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "'label': 'entailment'" in done.stdout or "'label': 'not_entailment'" in done.stdout
    assert "Candidate(text=" in done.stdout


def test_the_page_on_probing_makes_vectors_that_can_be_probed(tmp_path):
    (tmp_path / "my_tasks").mkdir()
    (tmp_path / "my_vectors").mkdir()
    lines = [f"{split}\t{mood}\tone {mood} day" for split in ("tr", "va", "te")
             for mood in ("glad", "sad")]  # fmt: skip
    (tmp_path / "my_tasks" / "mood.txt").write_text("\n".join(lines) + "\n")
    before = "encode = lambda sentence: [len(sentence), 1.0]\n"
    after = (
        "from hierbert_tf.probing.precomputed import PrecomputedVectors\n"
        "print(PrecomputedVectors('my_vectors').vectors(task)['given'][0].tolist()[:2])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{program('probe.md')}\n{after}"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "[[12.0, 1.0], [11.0, 1.0]]"


def test_the_page_on_serving_has_a_client_that_says_that_no_server_is_there(tmp_path):
    """No server is at hand; what the client does with one is tested in `tests/serving`."""
    source = program("serving.md").replace("localhost:8500", "127.0.0.1:1")
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("UNAVAILABLE no server answers at 127.0.0.1:1")

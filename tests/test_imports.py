"""Imports run one way: a module imports only from its own rank or from below."""

import ast
from pathlib import Path

import hierbert_tf

ROOT = Path(hierbert_tf.__file__).parent
# The first prefix that fits gives a module's rank.
RANKS = {
    "errors": 0,
    "config": 0,
    "config_finetuning": 0,
    "config_probing": 0,
    "config_export": 0,
    "storage": 0,
    "data.features": 0,
    "config_file": 1,
    "provenance": 1,
    "layers": 1,
    "data": 1,
    "corpus": 2,
    "tasks": 2,
    "training.losses": 2,
    "training.optimizer": 2,
    "config_check": 3,
    "downstream": 3,
    "models": 3,
    "evaluation": 3,
    "pretraining": 3,
    "training": 4,
    "finetuning": 5,
    "probing": 5,
    "serving": 5,
    "recipes": 6,
}
NEVER = [("layers", "data."), ("models", "data."), ("data", "tasks"), ("corpus", "tasks")]
GROUND = "data.features"


def rank(module: str) -> int:
    fitting = [key for key in RANKS if module == key or module.startswith(f"{key}.")]
    assert fitting, f"{module} has no rank; add it"
    return RANKS[max(fitting, key=len)]


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports when it is run."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in hidden:
            found.add(node.module or "")
        elif isinstance(node, ast.Import) and id(node) not in hidden:
            found.update(alias.name for alias in node.names)
    return {name.removeprefix("hierbert_tf.") for name in found if name.startswith("hierbert_tf.")}


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if name != "__init__":
            yield name, path


def test_imports_run_one_way():
    wrong = [
        f"{name} imports {other}"
        for name, path in modules()
        for other in imports(path)
        if rank(other) > rank(name)
    ]
    assert not wrong, wrong


def test_layers_and_models_know_nothing_of_the_data():
    wrong = [
        f"{name} imports {other}"
        for name, path in modules()
        for above, below in NEVER
        if name.split(".")[0] == above
        for other in imports(path)
        if other.startswith(below) and other != GROUND
    ]
    assert not wrong, wrong


def test_files_have_one_idea():
    long = {
        name: count for name, path in modules() if (count := len(path.open().readlines())) > 350
    }
    assert not long, long

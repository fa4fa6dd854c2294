"""The settings of the published results can be read and fit together."""

import re
from pathlib import Path

import pytest

from hierbert_tf.config import RunConfig
from hierbert_tf.config_check import check_config
from hierbert_tf.config_file import load_config
from hierbert_tf.config_finetuning import FinetuningConfig
from hierbert_tf.config_probing import ProbingConfig
from hierbert_tf.finetuning.check import check_finetuning
from hierbert_tf.probing.check import check_probing

KINDS = {
    "pretrain": (RunConfig, check_config),
    "finetune": (FinetuningConfig, check_finetuning),
    "probe": (ProbingConfig, check_probing),
}
# What the recipe's command line says.
GIVEN = {"probe": ("model.path",)}
RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def test_there_are_recipes():
    assert RECIPES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_and_says_how_to_run_it(path):
    text = path.read_text()
    header = text[: re.search(r"^\w", text, re.MULTILINE).start()]
    assert f"--config recipes/{path.name}" in header
    program = re.search(r"-m hierbert_tf\.recipes\.(\w+)", header)[1]
    kind, check = KINDS[program]
    check(load_config(path, [f"{key}=runs/mine" for key in GIVEN.get(program, ())], kind))

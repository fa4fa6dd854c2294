"""The settings of the published results can be read and fit together."""

from pathlib import Path

import pytest

from hierbert_tf.config import RunConfig
from hierbert_tf.config_check import check_config
from hierbert_tf.config_file import load_config
from hierbert_tf.config_finetuning import FinetuningConfig
from hierbert_tf.finetuning.check import check_finetuning

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def test_there_are_recipes():
    assert RECIPES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_and_says_how_to_run_it(path):
    header = path.read_text().split("\nfolder:")[0]
    assert f"--config recipes/{path.name}" in header
    if "hierbert_tf.recipes.pretrain" in header:
        config = load_config(path, (), RunConfig)
        check_config(config)
    else:
        config = load_config(path, (), FinetuningConfig)
        check_finetuning(config)
    assert config.folder.startswith("runs/")

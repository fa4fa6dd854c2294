import dataclasses

import pytest

from hierbert_tf.config import ReceivesConfig, RunConfig, TaskConfig
from hierbert_tf.config_check import check_config
from hierbert_tf.config_file import dump_config, load_config, settings_sha256
from hierbert_tf.config_finetuning import FinetuningConfig
from hierbert_tf.errors import InputError
from hierbert_tf.storage import write_text

RECIPE = """\
encoder:
  layers: 6
tasks:
  - {name: next_sentence, layer: 3}
  - name: masked_lm
    layer: 6
    weight: 2
    receives: {from: next_sentence, by: gate, stop_gradient: true}
    options: {unit: word}
training:
  learning_rate: 1e-4
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def test_a_recipe_replaces_the_defaults_that_it_names(recipe):
    config = load_config(recipe)
    assert config.encoder.layers == 6
    assert config.encoder.hidden == RunConfig().encoder.hidden
    assert config.training.learning_rate == 1e-4
    assert config.tasks == (
        TaskConfig("next_sentence", 3),
        TaskConfig(
            "masked_lm",
            6,
            2.0,
            ReceivesConfig("next_sentence", "gate", stop_gradient=True),
            {"unit": "word"},
        ),
    )


def test_nothing_named_is_the_main_recipe(tmp_path):
    assert load_config() == RunConfig()
    (tmp_path / "empty.yaml").write_text("")
    assert load_config(tmp_path / "empty.yaml") == RunConfig()


def test_what_is_written_reads_back_equal(recipe, tmp_path):
    config = load_config(recipe)
    write_text(tmp_path / "resolved.yaml", dump_config(config))
    assert load_config(tmp_path / "resolved.yaml") == config
    assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []


def test_overrides_reach_into_lists_and_defaults(recipe):
    config = load_config(recipe, ["tasks.0.layer=2", "training.steps=7", "vocabulary.path=v.txt"])
    assert config.tasks[0].layer == 2 and config.tasks[1].layer == 6
    assert config.training.steps == 7 and config.training.learning_rate == 1e-4
    assert config.vocabulary.path == "v.txt"
    assert (
        load_config(overrides=["corpus.sources.0.path=my.txt"]).corpus.sources[0].path == "my.txt"
    )
    assert load_config(overrides=["tasks.2.receives.by=add"]).tasks[2].receives.by == "add"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainin.steps=3", "trainin: unknown key; the nearest valid one is 'training'"),
        ("training.stepz=3", "training.stepz: unknown key; the nearest valid one is 'steps'"),
        ("tasks.1.receives.source=x", "receives.source: unknown key"),
        ("training.steps=abc", "training.steps is 'abc' (str), but must be a whole number"),
        ("training.steps=1.5", "training.steps is 1.5 (float), but must be a whole number"),
        ("training.xla=maybe", "training.xla is 'maybe' (str), but must be true or false"),
        ("training=3", "training is 3, but must hold keys"),
        ("tasks.9.layer=1", "'9' is no index below 2"),
        ("seed.x=1", "'seed' has no keys below it"),
        ("steps", "is not of the form key=value"),
        ("seed=[", "the value is no valid YAML"),
    ],
)
def test_wrong_settings_are_named(recipe, override, message):
    with pytest.raises(InputError) as error:
        load_config(recipe, ["seed=1", override])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("encoder:\n  layers: 6\n  hiden: 3\n", ":3: encoder.hiden: unknown key"),
        ("encoder:\n  layers: six\n", ":2: encoder.layers is 'six'"),
        ("tasks:\n- name: masked_lm\n  layer: six\n", ":3: tasks.0.layer is 'six'"),
        ("encoder: [1\n", "no valid YAML"),
        ("7", "holds `key: value` lines"),
        ("tasks:\n- layer: 2\n", "tasks.name is missing"),
    ],
)
def test_the_line_of_a_file_is_named(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_config(path)
    assert message in str(error.value) and str(path) in str(error.value)


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match="nowhere.yaml: the settings cannot be read"):
        load_config("nowhere.yaml")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["data.sequence_length=1024"],
            "sequence_length is 1024, but must be from 8 to encoder.pos",
        ),
        (["encoder.heads=3"], "encoder.hidden is 128, but must be a multiple of encoder.heads 3"),
        (["training.accumulation=5"], "batch_size is 16, but must be a multiple"),
        (
            ["training.warmup_steps=10", "training.steps=5"],
            "warmup_steps is 10, but must be from 0",
        ),
        (["training.precision=float8"], "training.precision is float8"),
        (["corpus.held_out_fraction=1"], "held_out_fraction is 1.0, but must be between"),
        (["corpus.sources=[]"], "corpus.sources is empty"),
        (["tasks.1.layer=9"], "'bigram_shift' is at layer 9 of an encoder of 4 layers"),
        (["training.learning_rate=.nan"], "learning_rate is nan"),
    ],
)
def test_settings_are_checked_against_each_other(overrides, message):
    with pytest.raises(InputError) as error:
        check_config(load_config(overrides=overrides))
    assert message in str(error.value)


def test_overriding_one_setting_of_fine_tuning_keeps_the_other_defaults():
    config = load_config(None, ["monitor.log_every=5", "model.layer=mix"], FinetuningConfig)
    assert config.monitor.log_every == 5
    assert config.monitor.cosine_every == FinetuningConfig().monitor.cosine_every == 0
    assert config.model.layer == "mix"
    assert load_config(None, ["model.layer=2"], FinetuningConfig).model.layer == 2


@dataclasses.dataclass(frozen=True)
class Item:
    name: str


@dataclasses.dataclass(frozen=True)
class YoungerItem:
    name: str
    later: int = 0


@dataclasses.dataclass(frozen=True)
class Settings:
    folder: str = ""
    steps: int = 10
    items: tuple[Item | YoungerItem, ...] = (Item("a"),)


@dataclasses.dataclass(frozen=True)
class YoungerSettings(Settings):
    later: bool = False


def test_a_setting_of_a_later_version_leaves_the_hash_of_older_runs():
    older = settings_sha256(Settings(steps=5, items=(Item("b"),)))
    assert settings_sha256(YoungerSettings(steps=5, items=(YoungerItem("b"),))) == older
    changed = [
        YoungerSettings(steps=5, items=(YoungerItem("b"),), later=True),
        YoungerSettings(steps=5, items=(YoungerItem("b", later=1),)),
        YoungerSettings(steps=5, items=(YoungerItem("c"),)),
        YoungerSettings(steps=6, items=(YoungerItem("b"),)),
    ]
    assert len({older, *map(settings_sha256, changed)}) == 5


def test_the_hash_is_of_what_a_result_depends_on():
    kept = settings_sha256(RunConfig())
    assert settings_sha256(RunConfig(folder="elsewhere")) == kept
    assert settings_sha256(load_config(None, ["monitor.log_every=7"])) == kept
    assert settings_sha256(load_config(None, ["training.steps=7"])) != kept
    assert settings_sha256(load_config(None, ["tasks.0.weight=0.5"])) != kept
    tuned = settings_sha256(FinetuningConfig())
    assert settings_sha256(FinetuningConfig(seeds=9)) == tuned
    assert settings_sha256(FinetuningConfig(seed=9)) != tuned

"""Settings from a YAML file and dotted overrides, checked; and back into YAML."""

import dataclasses
import difflib
import hashlib
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import dacite
import yaml

from hierbert_tf.config import ReceivesConfig, RunConfig
from hierbert_tf.config_probing import ProbingConfig
from hierbert_tf.errors import InputError

Config = TypeVar("Config")

# `from` is a Python keyword, so the class cannot use the word that a reader expects in YAML.
_YAML_NAMES: dict[Any, dict[str, str]] = {ReceivesConfig: {"from": "source"}}


@overload
def load_config(path: str | Path | None = ..., overrides: Sequence[str] = ...) -> RunConfig: ...
@overload
def load_config(
    path: str | Path | None, overrides: Sequence[str], kind: type[Config]
) -> Config: ...
def load_config(
    path: str | Path | None = None, overrides: Sequence[str] = (), kind: Any = RunConfig
) -> Any:
    """Reads the settings of a run.

    Args:
        path: YAML file; settings it does not name keep their defaults. None: all defaults.
        overrides: `key=value` with dotted keys, the value in YAML: `training.steps=5000`,
            `tasks.0.layer=3`, `vocabulary.path=vocab.txt`.
        kind: the class of the settings: `RunConfig` of pre-training,
            `FinetuningConfig`, `ProbingConfig`.

    Returns:
        The settings, not yet checked against each other.

    Raises:
        InputError: no such file, no valid YAML, an unknown key (the nearest valid one is named) or
            a value of the wrong type.

    Example:

    >>> load_config(overrides=["training.steps=5000"]).training.steps
    5000
    """
    settings: dict[str, Any] = {}
    lines: dict[tuple, int] = {}
    name = "settings"
    if path is not None:
        name = str(path)
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: the settings cannot be read: {error}") from error
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            settings = yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            raise InputError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error
        if not isinstance(settings, dict):
            raise InputError(
                f"{path}: a settings file holds `key: value` lines, not a single value"
            )
        lines = dict(_lines(node, ()))
    for override in overrides:
        _override(settings, override, kind)

    def where(keys: tuple) -> str:
        line = f":{lines[keys]}" if keys in lines else ""
        return f"{name}{line}: {'.'.join(map(str, keys))}"

    settings = _checked(settings, kind, (), where)
    try:
        return dacite.from_dict(
            kind, settings, dacite.Config(cast=[tuple], type_hooks={float: as_number})
        )
    except dacite.WrongTypeError as error:
        keys = tuple(str(error.field_path).split("."))
        # dacite leaves list indices out of the path.
        found = [k for k in lines if tuple(part for part in k if isinstance(part, str)) == keys]
        raise InputError(
            f"{where(found[0] if len(found) == 1 else keys)} is {error.value!r} "
            f"({type(error.value).__name__}), but must be {type_name(error.field_type)}"
        ) from error
    except dacite.MissingValueError as error:
        raise InputError(f"{name}: {error.field_path} is missing; give it a value") from error


def dump_config(config: Any) -> str:
    """The settings as YAML that `load_config` reads back equal.

    Example:

    >>> dump_config(RunConfig()).splitlines()[:2]
    ['folder: runs/wikipedia_excerpt', 'seed: 42']
    """

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            names = {v: k for k, v in _YAML_NAMES.get(type(value), {}).items()}
            return {
                names.get(f.name, f.name): plain(getattr(value, f.name))
                for f in dataclasses.fields(value)
            }
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    return yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)


def comparable_settings(config: Any) -> dict[str, Any]:
    """The settings that a run's result depends on, as nested dicts.

    That is all but its place, how it is watched, how many seeds of a fine-tuning or a probing are
    run, and on which tasks an encoder is probed: the scores of one do not depend on the others.

    Example:

    >>> comparable_settings(RunConfig(folder="a")) == comparable_settings(RunConfig(folder="b"))
    True
    """
    return _without_incomparable(dataclasses.asdict(config), config)


def settings_sha256(config: Any) -> str:
    """Hash of `comparable_settings`, of those that are not at their default.

    A setting that a later version adds, with the default that stands for what was done before, so
    leaves the hash of older runs as it is. A run's `config.yaml` has all settings and is compared
    too, so that a changed default does not pass unseen.
    """
    chosen = _without_incomparable(_chosen(config), config)
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def _without_incomparable(settings: dict[str, Any], config: Any) -> dict[str, Any]:
    apart = ("data", "tasks", "word_level") if isinstance(config, ProbingConfig) else ()
    for name in ("folder", "monitor", "seeds", *apart):
        settings.pop(name, None)
    return settings


def _chosen(value: Any) -> Any:
    """Plain values of what differs from the defaults."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: _chosen(setting)
            for field in dataclasses.fields(value)
            if (setting := getattr(value, field.name)) != _default(field)
        }
    if isinstance(value, Mapping):
        return {name: _chosen(item) for name, item in value.items()}
    return [_chosen(item) for item in value] if isinstance(value, list | tuple) else value


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    # `MISSING`, which equals nothing, where there is no default.
    return field.default


def _lines(node: yaml.Node | None, keys: tuple) -> Iterator[tuple[tuple, int]]:
    """The line of every key, by its path."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*keys, key.value)
            yield path, key.start_mark.line + 1
            yield from _lines(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*keys, index), value.start_mark.line + 1
            yield from _lines(value, (*keys, index))


def _override(settings: dict[str, Any], override: str, kind: Any) -> None:
    """Sets one dotted key; a list that the file does not give is taken from the defaults."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(f"override {override!r} is not of the form key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"override {override!r}: the value is no valid YAML") from error
    *parents, last = key.split(".")
    target: Any = settings
    defaults: Any = yaml.safe_load(dump_config(kind()))
    for parent in [*parents, None]:
        if isinstance(target, list):
            step = last if parent is None else parent
            if not step.isdigit() or int(step) >= len(target):
                raise InputError(f"override {override!r}: {step!r} is no index below {len(target)}")
        if parent is None:
            break
        index: Any = int(parent) if isinstance(target, list) else parent
        defaults = _child(defaults, index)
        if isinstance(target, dict) and target.get(index) is None:
            target[index] = defaults if isinstance(defaults, list) else {}
        target = target[index]
        if not isinstance(target, dict | list):
            raise InputError(f"override {override!r}: {parent!r} has no keys below it")
    target[int(last) if isinstance(target, list) else last] = value


def _child(value: Any, index: Any) -> Any:
    try:
        return value[index]
    except (KeyError, IndexError, TypeError):
        return None


def _checked(value: Any, kind: Any, keys: tuple, where: Any) -> Any:
    """Checks the keys below `kind` and gives them the names of the class."""
    inner = _config_class(kind)
    if inner is None or value is None:
        return value
    if isinstance(value, list):
        return tuple(_checked(item, inner, (*keys, i), where) for i, item in enumerate(value))
    if not isinstance(value, dict):
        raise InputError(
            f"{where(keys)} is {value!r}, but must hold keys: {', '.join(_names(inner))}"
        )
    hints = typing.get_type_hints(inner)
    renamed = _YAML_NAMES.get(inner, {})
    checked = {}
    for key, item in value.items():
        field = renamed.get(key, key)
        if field not in hints or (field in renamed.values() and key == field):
            near = difflib.get_close_matches(str(key), _names(inner), 1, 0.0)[0]
            raise InputError(
                f"{where((*keys, key))}: unknown key; the nearest valid one is {near!r}"
            )
        checked[field] = _checked(item, hints[field], (*keys, key), where)
    return checked


def _names(kind: type) -> list[str]:
    renamed = {field: key for key, field in _YAML_NAMES.get(kind, {}).items()}
    return [renamed.get(f.name, f.name) for f in dataclasses.fields(kind)]


def _config_class(kind: Any) -> type | None:
    """The dataclass in a type such as `tuple[TaskConfig, ...]` or `ReceivesConfig | None`."""
    for option in (kind, *typing.get_args(kind)):
        if isinstance(option, type) and dataclasses.is_dataclass(option):
            return option
    return None


def as_number(value: Any) -> Any:
    """A float for a YAML value that is one: YAML 1.1 reads `1e-3` as text, and `1` as an integer.

    Example:

    >>> as_number("1e-3"), as_number(1), as_number("one"), as_number(True)
    (0.001, 1.0, 'one', True)
    """
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return float(value) if type(value) is int else value


def type_name(kind: Any) -> str:
    """What a person calls a type.

    Example:

    >>> type_name(int), type_name(str | None)
    ('a whole number', 'text or empty')
    """
    if isinstance(kind, types.UnionType):
        return " or ".join(type_name(option) for option in typing.get_args(kind))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names.get(kind, "empty" if kind is type(None) else getattr(kind, "__name__", str(kind)))

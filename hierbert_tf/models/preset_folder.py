"""Where a preset lies that a user names by a run."""

from pathlib import Path

from hierbert_tf.errors import InputError


def preset_folder(preset: str | Path, needs_tokenizer: bool = True) -> str:
    """Finds the preset that a path means.

    Args:
        preset: a preset's folder, or a pre-training run, whose `encoder` folder is then meant; an
            address such as `hf://user/name` is passed on.
        needs_tokenizer: raise if a folder has no tokenizer.

    Returns:
        What keras-hub's `from_preset` takes.

    Raises:
        InputError: the folder is no preset, or it has no tokenizer.

    Example:

    >>> preset_folder("hf://user/name")
    'hf://user/name'
    """
    if "://" in str(preset):
        return str(preset)
    path = Path(preset)
    if not (path / "config.json").is_file() and (path / "encoder").is_dir():
        path = path / "encoder"
    if not (path / "config.json").is_file():
        raise InputError(
            f"{path} holds no encoder: neither config.json nor encoder/config.json is there; give "
            "the folder of a finished pre-training run, or of a preset."
        )
    if needs_tokenizer and not (path / "tokenizer.json").is_file():
        raise InputError(
            f"{path} has no tokenizer.json: start the pre-training command once more, which adds "
            "it to a finished run, or give preprocessor=."
        )
    return str(path)

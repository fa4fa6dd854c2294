"""What a result belongs to: the code's commit and the examples."""

import hashlib
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import hierbert_tf


def code_version() -> str:
    """Commit of the package's repository, `+` with local changes; its version where there is none.

    Example:

    >>> len(code_version()) > 4
    True
    """
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        # An installed package may lie inside somebody else's repository.
        if not git("ls-files", "--", __file__):
            raise FileNotFoundError
        changed = git("status", "--porcelain", "--untracked-files=no", "--", str(here.parent))
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return f"hierbert_tf {hierbert_tf.__version__}"


def examples_sha256(sets: Iterable[Sequence[Any]]) -> str:
    """Hash of labelled examples and their order.

    Example:

    >>> examples_sha256([[1], [2]]) == examples_sha256([[1, 2]])
    False
    """
    digest = hashlib.sha256()
    for examples in sets:
        digest.update(f"{len(examples)}\n".encode())
        for example in examples:
            digest.update(f"{example!r}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()

"""Models to begin with, as `python -m pmcmc init` writes them."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path

from ..errors import UsageError

STYLES = ("priors", "log_prob", "external", "vectorized")


def template_text(style: str, path: Path) -> str:
    """Return the text of a model file.

    Parameters
    ----------
    style : {"priors", "log_prob", "external", "vectorized"}
        What kind of model.
    path : Path
        Where it is to be, which its first lines name.

    """
    text = (files(__package__) / "templates" / f"{style}.py").read_text(encoding="utf-8")
    head, quotes, rest = text.partition('"""\n\n')
    return head.replace("pmcmc FILE", f"pmcmc {shlex.quote(str(path))}") + quotes + rest


def write_template(style: str, path: Path) -> None:
    """Write a model file that is not there yet.

    Parameters
    ----------
    style : {"priors", "log_prob", "external", "vectorized"}
        What kind of model.
    path : Path
        Where to.

    Raises
    ------
    UsageError
        If it does not end in .py, or there is such a file, or it cannot be written.

    """
    if path.suffix != ".py":
        raise UsageError(f"init writes a Python file: expected FILE.py, got {path}")
    text = template_text(style, path)
    if path.exists():
        raise UsageError(f"{path} is there: init replaces no file; choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise UsageError(f"{path} cannot be written: {exc.strerror or exc}") from None

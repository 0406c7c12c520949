"""A Problem from a model, or from a file that holds one; where it is wrong, in which line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import streams
from ..errors import ModelError
from . import load, parcel
from .hints import ModelText
from .ranks import rank_info


def make_problem(model: str, make: Callable[..., Any]) -> Any:
    """Return the Problem of a model.

    Parameters
    ----------
    model : str
        A .py file, a module that can be imported, a built-in example, or a file that holds a
        Problem.
    make : callable
        Makes a Problem of its keyword arguments.

    Returns
    -------
    Problem

    Raises
    ------
    UsageError, ModelError
        If it is not there; if it does not run, or does not describe a problem.

    """
    if model.endswith(load.ENDING):
        return parcel.read_problem(Path(model), os.environ)
    # before the model is run, which may change the working directory
    text, path = load.source(model), load.place(model)
    found = load.read(model)
    lines_in = ModelText(text, model)
    try:
        made = make(**found, name=load.stem(model))
    except ModelError as exc:
        lines = [
            f"the model {model} is not complete: {exc}",
            lines_in.line_of(str(exc), load.KEYS),
        ]
        others = lines_in.misspelt(load.KEYS, load.OLD_NAMES)
        lines += [f"  {name}: is it meant to be {key}?" for name, key in others]
        raise ModelError("\n".join(filter(None, lines))) from None
    except TypeError as exc:
        raise ModelError(f"the model {model} has a name of the wrong type: {exc}") from None
    for name, key in lines_in.misspelt(load.KEYS, load.OLD_NAMES, surely=True):
        if rank_info().rank == 0:
            streams.tell(f"note: {name}: is it meant to be {key}?", error=True)
    made.source, made.path = text, path
    return made

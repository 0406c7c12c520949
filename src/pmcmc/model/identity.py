"""What tells one problem from another, as the file of a run keeps it: settings, hash, text."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Any

from .outputs import OutputFormat
from .parameters import Parameters


def settings_of(parameters: Parameters, returns: OutputFormat) -> dict[str, Any]:
    """Return what defines a problem, as far as it can be written down."""
    order = list(parameters.all_names)
    fixed = {"fixed": parameters.fixed, "order": order} if parameters.fixed else {}
    turns = parameters.turns
    if turns:
        fixed |= {"periodic": {name: list(turn) for name, turn in turns.items()}}
    return {
        "parameters": list(parameters.names),
        "priors": [p.describe() for p in parameters.priors],
        "vectorized": returns.vectorized,
        "blobs": returns.settings(),
        **fixed,
    }


def hash_of(settings: dict[str, Any]) -> str:
    """Return a hash of settings."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def text_of(function: Callable[..., Any]) -> str:
    """Return the text of a function, as far as it is there."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""

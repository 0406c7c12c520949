"""Names as other formats take them, each its own, by a rule that can be told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..result import Result


def distinct(
    names: Sequence[str], change: Callable[[str], str], taken: Iterable[str] = ()
) -> list[str]:
    """Return names changed for a format, with _ behind one that would be there twice.

    Parameters
    ----------
    names : sequence of str
        The originals, each once.
    change : callable
        Returns what the format takes of one; what it leaves alone keeps its name.
    taken : iterable of str
        Names that the format has for something else. Default: none.

    Returns
    -------
    list of str

    """
    used, found = set(taken), dict[str, str]()
    for name in sorted(names, key=lambda n: change(n) != n):  # those that can stay come first
        new = change(name)
        while new in used:
            new += "_"
        used.add(new)
        found[name] = new
    return [found[name] for name in names]


def about(result: Result) -> dict[str, Any]:
    """Return what a file tells of the run that its draws are of, as JSON can hold it."""
    return {
        "problem": result.problem,
        "seed": result.seed,
        "pmcmc_version": result.version,
        "status": result.status,
        "nensembles": result.nensembles,
        "nwalkers": result.nwalkers,
        "steps": list(result.steps),
        "burnin": result.burnin,
        "thin_by": result.thin_by,
        "fixed": result.fixed,
    }


def write_about(result: Result, path: Path, columns: dict[str, str]) -> Path:
    """Write a JSON file that tells of the run, and of columns by the names of what they hold."""
    told = about(result) | {"columns": columns, "derived": list(result.derived)}
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return path

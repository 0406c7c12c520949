"""Draws for GetDist: a text file for each ensemble, names with labels, ranges of the priors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..labels import latex
from ..result import Result
from .names import distinct, write_about

_ROWS = 2000  # written at once


def write_getdist(result: Result, root: Path) -> list[Path]:
    """Write root_1.txt and so on, root.paramnames, root.ranges and root.about.json.

    Parameters
    ----------
    result : Result
        With a draw.
    root : Path
        What the names of all files begin with.

    Returns
    -------
    list of Path
        The files. A name has _ in place of blanks, and of * and ?, which mark derived parameters
        and others there.

    """
    plain = distinct(result.quantities, _plain)
    named = dict(zip(result.quantities, plain, strict=True))
    lines = [
        f"{named[name]}{'*' * (name in result.derived)}\t{latex(name, result.labels)}\n"
        for name in result.quantities
    ]
    names = _beside(root, ".paramnames")
    names.write_text("".join(lines), encoding="utf-8")
    written = [names]
    if result.bounds:
        ranges = _beside(root, ".ranges")
        pairs = zip(result.names, result.bounds, strict=True)
        ranges.write_text(
            "".join(
                f"{named[name]}\t{_bound(low)}\t{_bound(high)}\n" for name, (low, high) in pairs
            ),
            encoding="utf-8",
        )
        written.append(ranges)
    written.append(write_about(result, _beside(root, ".about.json"), named))
    for e, start, values, log_prob in result.blocks(_ROWS):
        path = root.with_name(f"{root.name}_{e + 1}.txt")
        flat = values.reshape(-1, values.shape[2])
        head = [np.ones(len(flat)), -log_prob.ravel()]
        with path.open("a" if start else "w", encoding="utf-8") as file:
            np.savetxt(file, np.column_stack([*head, flat]), fmt="%.17g")
        if not start:
            written.append(path)
    return written


def files_of(root: Path) -> list[Path]:
    """Return the files of an export to ``root`` that may be there."""
    chains = [p for p in root.parent.glob("*.txt") if _is_chain(p.name, root.name)]
    beside = [_beside(root, ending) for ending in (".paramnames", ".ranges", ".about.json")]
    return [*beside, *sorted(chains)]


def _beside(root: Path, ending: str) -> Path:
    return root.with_name(root.name + ending)


def _is_chain(name: str, root: str) -> bool:
    stem = name.removesuffix(".txt")
    return stem.startswith(root + "_") and stem[len(root) + 1 :].isdigit()


def _plain(name: str) -> str:
    plain = "_".join(name.split())
    for mark in "*?#":
        plain = plain.replace(mark, "_")
    return plain or "_"


def _bound(value: float | None) -> str:
    return "N" if value is None else repr(value)

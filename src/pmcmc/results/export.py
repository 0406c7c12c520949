"""Draws for other programs: ArviZ (netCDF), GetDist, npz, csv."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from .result import Result

_ROWS = 2000  # written at once


def _netcdf(result: Result, path: Path) -> list[Path]:
    result.to_arviz().to_netcdf(str(path))
    return [path]


def _npz(result: Result, path: Path) -> list[Path]:
    arrays: dict[str, Any] = {
        "chain": result.get_chain(),  # (ensemble, step, walker, ndim)
        "log_prob": result.get_log_prob(),
        "parameter_names": np.array(result.names),
        "acceptance_fraction": result.acceptance_fraction,
        "seed": np.array(result.seed),
    }
    blobs = result.get_blobs()
    if blobs is not None and not blobs.dtype.hasobject:
        arrays["blobs"] = blobs
    with path.open("wb") as file:  # np.savez would add .npz to the name
        np.savez_compressed(file, **arrays)
    return [path]


def _csv(result: Result, path: Path) -> list[Path]:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ensemble", "step", "walker", "log_prob", *result.names])
        for e, start, chain, log_prob in result.blocks(_ROWS):
            for n, (rows, values) in enumerate(
                zip(chain.tolist(), log_prob.tolist(), strict=True)
            ):
                writer.writerows(
                    [e, start + n, w, value, *row]
                    for w, (row, value) in enumerate(zip(rows, values, strict=True))
                )
    return [path]


def _getdist(result: Result, root: Path) -> list[Path]:
    """Write root_1.txt and so on, a chain for each ensemble, and root.paramnames."""
    names = root.with_name(root.name + ".paramnames")
    names.write_text("".join(f"{_plain(n)}\t{_latex(n)}\n" for n in result.names))
    written = [names]
    for e, start, chain, log_prob in result.blocks(_ROWS):
        path = root.with_name(f"{root.name}_{e + 1}.txt")
        flat = chain.reshape(-1, chain.shape[2])
        columns = [np.ones(len(flat)), -log_prob.ravel()]
        with path.open("a" if start else "w") as file:
            np.savetxt(file, np.column_stack([*columns, flat]), fmt="%.17g")
        if not start:
            written.append(path)
    return written


def _plain(name: str) -> str:
    """Return a name that GetDist takes: no blanks, and no mark of a derived parameter."""
    return "_".join(name.split()).replace("*", "_") or "_"


def _latex(name: str) -> str:
    return name.replace("\\", "").replace("_", r"\_").replace("^", r"\^{}")


FORMATS: dict[str, tuple[str, Callable[[Result, Path], list[Path]]]] = {
    "netcdf": (".nc", _netcdf),
    "getdist": ("", _getdist),
    "npz": (".npz", _npz),
    "csv": (".csv", _csv),
}


def export(result: Result, form: str, output: Path, overwrite: bool = False) -> list[Path]:
    """Write the draws in another format; return the files.

    Parameters
    ----------
    result : Result
        With a draw at least.
    form : {"netcdf", "getdist", "npz", "csv"}
        GetDist's is a text file for each ensemble, and one of names, beside ``output``. netCDF and
        npz hold what all ensembles have, and are made in memory.
    output : Path
        The file, or GetDist's root.
    overwrite : bool
        Replace files that are there.

    Raises
    ------
    UsageError
        If one is there, or cannot be written.
    StoreError
        If there are no draws.

    """
    result.statistics()  # says so if there are none
    there = [output] if form != "getdist" else _files_of(output)
    there = [path for path in there if path.exists()]
    if there and not overwrite:
        raise UsageError(
            f"{there[0]} exists, and nothing was changed: give another name with --output, or "
            "--overwrite to replace it"
        )
    try:
        for path in there:
            path.unlink()
        return FORMATS[form][1](result, output)
    except OSError as exc:
        raise UsageError(f"{output} cannot be written: {exc.strerror or exc}") from None


def _files_of(root: Path) -> list[Path]:
    chains = [p for p in root.parent.glob("*.txt") if _is_chain(p.name, root.name)]
    return [root.with_name(root.name + ".paramnames"), *sorted(chains)]


def _is_chain(name: str, root: str) -> bool:
    stem = name.removesuffix(".txt")
    return stem.startswith(root + "_") and stem[len(root) + 1 :].isdigit()

"""Draws for other programs: ArviZ (netCDF), GetDist, npz, csv; a file for each form."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from ...errors import UsageError
from ...storage.place import shown_path
from ..result import Result
from .arviz import write_netcdf
from .getdist import files_of, write_getdist
from .numpy import write_npz
from .table import beside_csv, write_csv

# all files that an export to a path may make, where that is not the path alone
_FILES: dict[str, Callable[[Path], list[Path]]] = {
    "getdist": files_of,
    "csv": lambda path: [path, beside_csv(path)],
}
FORMATS: dict[str, tuple[str, Callable[[Result, Path], list[Path]]]] = {
    "netcdf": (".nc", write_netcdf),
    "getdist": ("", write_getdist),
    "npz": (".npz", write_npz),
    "csv": (".csv", write_csv),
}


def export(result: Result, form: str, output: Path, overwrite: bool = False) -> list[Path]:
    """Write the draws in another format; return the files.

    What is there stays until all that replaces it is whole.

    Parameters
    ----------
    result : Result
        With a draw at least.
    form : {"netcdf", "getdist", "npz", "csv"}
        GetDist's is a text file for each ensemble, with names and ranges beside ``output``; csv
        has a file beside it that tells of the run. netCDF and npz hold what all ensembles have,
        and are made in memory.
    output : Path
        The file, or GetDist's root; missing folders are made.
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
    files = _FILES[form](output) if form in _FILES else [output]
    there = [path for path in files if path.exists()]
    if there and not overwrite:
        raise UsageError(
            f"{shown_path(there[0])} exists, and nothing was changed: give another name with "
            "--output, or --overwrite to replace it"
        )
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{output.name[:100]}.", dir=output.parent))
        try:
            made = FORMATS[form][1](result, scratch / output.name)
            for path in made:
                os.replace(path, output.with_name(path.name))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        written = [output.with_name(path.name) for path in made]
        for path in set(there) - set(written):  # chains of an ensemble more
            path.unlink()
        return written
    except OSError as exc:
        raise UsageError(
            f"{shown_path(output)} cannot be written: {exc.strerror or exc}"
        ) from None

"""From the file of a run to its Result."""

from __future__ import annotations

from pathlib import Path

from ..storage.reader import RunReader
from .result import Result


def load(path: str | Path) -> Result:
    """Open the file of a run.

    Parameters
    ----------
    path : str or Path
        The HDF5 file that ``run`` or the command line wrote, finished or not.

    Returns
    -------
    Result
        The draws committed so far.

    Raises
    ------
    StoreError
        If there is no such file, or it is not a pmcmc file, of a newer format, or damaged.

    """
    return Result.open(Path(path))


def load_into_memory(path: Path) -> Result:
    """Read the file of a run as a whole, which is not needed any more then; raises as ``load``."""
    return Result(RunReader.in_memory(path))

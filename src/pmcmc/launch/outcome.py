"""How a job that pmcmc started ended: its rank 0 leaves that in a file."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import errors
from ..errors import ExitStatus, PmcmcError
from ..storage.file import replace_whole
from .parent import parent_is_gone

VARIABLE = "PMCMC_OUTCOME"  # the file
PROGRESS = "PMCMC_PROGRESS"  # that of the progress, if somebody wants to know


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended.

    Attributes
    ----------
    status : int
        The exit status.
    error : PmcmcError or None
        What failed.
    told : bool
        Whether the ranks said so themselves.

    """

    status: int
    error: PmcmcError | None = None
    told: bool = True


def leave_outcome(env: Mapping[str, str], rank: int, status: int, error: PmcmcError | None) -> int:
    """Tell the process that started the ranks, if one did, how the command ended.

    Parameters
    ----------
    env : mapping
        The environment.
    rank : int
        Rank 0 tells.
    status : int
        The exit status.
    error : PmcmcError or None
        What failed.

    Returns
    -------
    int
        What is left to tell the launcher: 0 then, so that it adds no banner; but the status where
        MPI has not begun here, so that it ends the ranks that wait for this one.

    """
    path = env.get(VARIABLE)
    if not path:
        return status
    if rank == 0:
        told: dict[str, object] = {"status": int(status)}
        if error is not None:
            told["error"] = {
                "class": type(error).__name__,
                "message": str(error),
                "rank": error.rank,
                "host": error.host,
                "parameters": error.parameters,
            }
        if parent_is_gone():
            shutil.rmtree(Path(path).parent, ignore_errors=True)  # it was to do that
            return status
        try:
            replace_whole(Path(path), json.dumps(told).encode())
        except OSError:
            return status
    module = sys.modules.get("mpi4py.MPI")
    return ExitStatus.DONE if module is not None and module.Is_initialized() else status


def read_outcome(path: Path) -> JobOutcome | None:
    """Return what rank 0 left; None if it left nothing."""
    if not os.path.exists(path):
        return None
    told = json.loads(path.read_text())
    failed = told.get("error")
    if failed is None:
        return JobOutcome(told["status"])
    kind = getattr(errors, failed["class"], errors.PmcmcError)
    where = {name: failed[name] for name in ("rank", "host", "parameters")}
    return JobOutcome(told["status"], kind(failed["message"], **where))

"""What a failure on one rank is to all: an error of pmcmc's that names the rank."""

from __future__ import annotations

import copy
import socket

from ..errors import EvaluationError, Interrupted, PmcmcError, RankError
from ..signals import Signalled
from ..tracebacks import traceback_text


def error_of(failure: BaseException, rank: int, where: str) -> PmcmcError:
    """Return a failure on this rank as an error of pmcmc's, for all ranks.

    Parameters
    ----------
    failure : BaseException
        An error of pmcmc's is copied, an EvaluationError with this rank and host; a signal is
        Interrupted, anything else a RankError with rank, host and traceback.
    rank : int
        This one.
    where : str
        This rank and host, in words.

    """
    host = socket.gethostname()
    if isinstance(failure, EvaluationError):
        failure.rank, failure.host = rank, host
    if isinstance(failure, PmcmcError):
        return copy.copy(failure)
    if isinstance(failure, Signalled):
        return Interrupted(
            f"stopped by {failure.args[0]}{where} before the sampling began: nothing was written"
        )
    lines = traceback_text(failure)
    alone = f"{type(failure).__name__}: {failure}".rstrip(": ")
    return RankError(
        f"{alone}{where}\n{lines}" if "\n" in lines else f"{alone}{where}", rank=rank, host=host
    )

"""The exceptions a user can meet.

PmcmcError
├── UsageError        what was asked for cannot be done (exit status 2)
├── LaunchError       the ranks were not started as one MPI job
├── ModelError        the model cannot be loaded, or is not a valid problem
├── EvaluationError   log_prob raised, or returned NaN, +inf or a wrong shape
├── Interrupted       a signal came before there was anything to commit (exit status 75)
├── StoreError        the HDF5 file cannot be written or read
└── RankError         anything else that failed, with the rank and host where it did

Each takes one message string and pickles with what it carries besides, so that it is the same on
every rank.
"""

from __future__ import annotations

from enum import IntEnum


class PmcmcError(Exception):
    """Base of all errors that pmcmc raises on purpose.

    Attributes
    ----------
    rank : int or None
        Where log_prob, or what nobody foresaw, failed; None for other errors.
    host : str or None
        Of that rank.
    parameters : dict or None
        The value of each parameter, by name, where log_prob failed; None where a batch of several
        rows raised, or there is no such point.

    """

    def __init__(
        self,
        *message: str,
        rank: int | None = None,
        host: str | None = None,
        parameters: dict[str, float] | None = None,
    ) -> None:
        super().__init__(*message)
        self.rank, self.host, self.parameters = rank, host, parameters


class UsageError(PmcmcError, ValueError):
    """An option, key or size that cannot work. Nothing was done."""


class LaunchError(PmcmcError):
    """The ranks were not started as one MPI job, or MPI is not there."""


class ModelError(PmcmcError):
    """The model cannot be loaded or does not describe a problem."""


class EvaluationError(PmcmcError):
    """log_prob raised, or returned NaN, +inf or something of the wrong shape."""


class Interrupted(PmcmcError):
    """A signal ended the run before there was anything to commit."""


class StoreError(PmcmcError):
    """The output file cannot be created, written or read."""


class RankError(PmcmcError):
    """A failure on some rank; the message names the rank, the host and the cause."""


class ControlFlow(BaseException):
    """Base of what pmcmc raises through log_prob to leave it; no user meets it."""


class ExitStatus(IntEnum):
    """How a command ends, for shells and batch systems; STOPPED is sysexits' EX_TEMPFAIL."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SHORT = 3  # done, but short of the stop rule
    BEING_WRITTEN = 4  # of `status`: a job is writing the file now
    STOPPED = 75  # stopped early, to be resumed


def exit_status(error: object) -> ExitStatus:
    """Return the exit status for what ended a command.

    Parameters
    ----------
    error : object
        The exception, or a message.

    Returns
    -------
    ExitStatus
        USAGE for a UsageError, STOPPED for Interrupted, else FAILED.

    """
    if isinstance(error, UsageError):
        return ExitStatus.USAGE
    return ExitStatus.STOPPED if isinstance(error, Interrupted) else ExitStatus.FAILED

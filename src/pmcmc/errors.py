"""The exceptions a user can meet.

PmcmcError
├── UsageError        what was asked for cannot be done (exit status 2)
├── LaunchError       the ranks were not started as one MPI job
├── ModelError        the model cannot be loaded, or is not a valid problem
├── EvaluationError   log_prob raised, or returned NaN, +inf or a wrong shape
├── Interrupted       a signal came before there was anything to commit (exit status 75)
├── StoreError        the HDF5 file cannot be written or read
└── RankError         anything else that failed, with the rank and host where it did

Each takes one message string, so that it pickles and reads the same on every rank.
"""


class PmcmcError(Exception):
    """Base of all errors that pmcmc raises on purpose."""


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


STOPPED = 75  # exit status of a run that stopped early, to be resumed


def exit_status(error: object) -> int:
    """Return the exit status for what ended a command."""
    if isinstance(error, UsageError):
        return 2
    return STOPPED if isinstance(error, Interrupted) else 1

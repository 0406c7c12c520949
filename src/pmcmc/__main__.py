"""Entry point of `python -m pmcmc`: start MPI, limit threads, run, end with one message.

The order matters: numpy, which the command line imports, reads the number of threads as it loads.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import os
import signal
import sys
import threading
import time
from typing import NoReturn

from . import forks, streams
from .cli.parsing import needs_ranks
from .cli.settings import asked_ranks
from .errors import ExitStatus, Interrupted, LaunchError, PmcmcError, exit_status
from .launch.outcome import leave_outcome
from .launch.parent import listen_to_parent
from .launch.terminal import run_on_ranks
from .mpi.startup import abort_with, launcher_rank, limit_threads, world
from .mpi.terminal import find_terminal
from .signals import Signalled, SignalWatch

_UNWRITABLE = (errno.EPIPE, errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EBADF)  # of a stream
_FAREWELL = 1.0  # seconds for threads of the model's to end with the run


def main() -> int:
    """Run the command line on this rank; return the exit status."""
    return _attempt()[0]


def _attempt() -> tuple[int, PmcmcError | None]:
    """Run the command line on this rank; return the exit status, and what failed."""
    rank = launcher_rank()
    comm = threads = launch_error = None
    # never left: a second signal, as a launcher sends, must not change the exit status
    watch = SignalWatch().__enter__()
    streams.escape_what_cannot_be_encoded()
    try:
        if ranks := asked_ranks(sys.argv[1:], os.environ):
            watch.__exit__(None, None, None)
            return run_on_ranks(ranks, sys.argv[1:]), None
        if needs_ranks(sys.argv[1:]):
            doctor = sys.argv[1:2] == ["doctor"]
            watch.quiet = not doctor  # until the ranks talk, and can leave together
            listen_to_parent(os.environ, rank)
            try:
                comm = world(careful=doctor)
            except LaunchError as error:
                if not doctor:  # which has more to say
                    raise
                launch_error = str(error)
            else:
                rank = comm.Get_rank()
                if rank == 0 and comm.Get_size() > 1:
                    find_terminal(os.environ)
                threads = limit_threads(comm.Get_size(), rank)
        elif rank > 0:
            return ExitStatus.DONE, None
        from .cli.main import Launch
        from .cli.main import main as run

        status = run(sys.argv[1:], Launch(comm, threads, watch, launch_error))
        if comm is None and sys.stdout is not None:  # it was closed
            sys.stdout.flush()
        return status, None
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        streams.flush()
        if error.errno != errno.EPIPE:  # that is `| head`: nobody reads on
            streams.tell(f"pmcmc: error: stdout cannot be written: {error.strerror}", error=True)
        return ExitStatus.FAILED, None
    except PmcmcError as error:
        if rank == 0:
            streams.tell(f"pmcmc: error: {error}", error=True)
        elif isinstance(error, LaunchError):
            time.sleep(1)  # a launcher may end all when one has ended: let the message out
        return exit_status(error), error
    except Signalled as signalled:
        text = f"stopped by {signalled.args[0]}"
        streams.tell(f"pmcmc: {text}", error=True)
        if comm is not None and comm.Get_size() > 1:
            abort_with(ExitStatus.STOPPED)
        return ExitStatus.STOPPED, Interrupted(text)
    finally:
        watch.ignore_from_now_on()


def leave(status: int, error: PmcmcError | None = None) -> NoReturn:
    """End the process, though threads of the model's may run on, or a timer of it."""
    signal.setitimer(signal.ITIMER_REAL, 0)  # Python gives up its handlers as it ends
    others = [
        thread
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not thread.daemon
    ]
    limit = time.monotonic() + _FAREWELL
    for thread in others:
        thread.join(max(0.0, limit - time.monotonic()))
    left = [thread.name for thread in others if thread.is_alive()]
    if children := forks.left_behind():
        streams.tell(
            f"pmcmc: a process that the model started runs on ({children[0]}): the launcher may "
            "wait for it",
            error=True,
        )
    streams.flush()
    status = leave_outcome(os.environ, launcher_rank(), status, error)
    if not left:
        sys.exit(status)
    if launcher_rank() == 0:
        streams.tell(f"pmcmc: a thread of the model runs on ({left[0]}): it is left", error=True)
    atexit._run_exitfuncs()
    if "mpi4py.MPI" in sys.modules:
        sys.modules["mpi4py.MPI"].Finalize()
    streams.flush()
    # not os._exit: MPICH takes leave of its launcher in a handler of C's exit, and a rank that has
    # not is a failure. With the GIL held no thread of the model's runs on beside the handlers
    ctypes.PyDLL(None).exit(status)
    raise SystemExit(status)  # not reached


if __name__ == "__main__":
    leave(*_attempt())

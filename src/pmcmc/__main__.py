"""Entry point of `python -m pmcmc`: start MPI, limit threads, run, end with one message.

The order matters: numpy, which the command line imports, reads the number of threads as it loads.
"""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
import threading
import time
from typing import NoReturn

from . import forks, streams
from .cli.arguments import needs_ranks
from .errors import ExitStatus, LaunchError, PmcmcError, exit_status
from .mpi.startup import abort_with, launcher_rank, limit_threads, world
from .signals import Signalled, SignalWatch

_UNWRITABLE = (errno.EPIPE, errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EBADF)  # of a stream
_FAREWELL = 1.0  # seconds for threads of the model's to end with the run


def main() -> int:
    """Run the command line on this rank; return the exit status."""
    rank = launcher_rank()
    comm = threads = launch_error = None
    # never left: a second signal, as a launcher sends, must not change the exit status
    watch = SignalWatch().__enter__()
    try:
        if needs_ranks(sys.argv[1:]):
            doctor = sys.argv[1:2] == ["doctor"]
            watch.quiet = not doctor  # until the ranks talk, and can leave together
            try:
                comm = world(careful=doctor)
            except LaunchError as error:
                if not doctor:  # which has more to say
                    raise
                launch_error = str(error)
            else:
                rank = comm.Get_rank()
                threads = limit_threads(comm.Get_size(), rank)
        elif rank > 0:
            return ExitStatus.DONE
        from .cli.main import Launch
        from .cli.main import main as run

        status = run(sys.argv[1:], Launch(comm, threads, watch, launch_error))
        if comm is None and sys.stdout is not None:  # it was closed
            sys.stdout.flush()
        return status
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        streams.flush()
        if error.errno != errno.EPIPE:  # that is `| head`: nobody reads on
            streams.tell(f"pmcmc: error: stdout cannot be written: {error.strerror}", error=True)
        return ExitStatus.FAILED
    except PmcmcError as error:
        if rank == 0:
            streams.tell(f"pmcmc: error: {error}", error=True)
        elif isinstance(error, LaunchError):
            time.sleep(1)  # a launcher may end all when one has ended: let the message out
        return exit_status(error)
    except Signalled as signalled:
        streams.tell(f"pmcmc: stopped by {signalled.args[0]}", error=True)
        if comm is not None and comm.Get_size() > 1:
            abort_with(comm, ExitStatus.STOPPED)
        return ExitStatus.STOPPED
    finally:
        watch.ignore_from_now_on()


def leave(status: int) -> NoReturn:
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
    if not left:
        sys.exit(status)
    if launcher_rank() == 0:
        streams.tell(f"pmcmc: a thread of the model runs on ({left[0]}): it is left", error=True)
    atexit._run_exitfuncs()
    if "mpi4py.MPI" in sys.modules:
        sys.modules["mpi4py.MPI"].Finalize()
    streams.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())

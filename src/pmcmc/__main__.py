"""Entry point of `python -m pmcmc`: start MPI, limit threads, run, end with one message.

The order matters: numpy, which the command line imports, reads the number of threads as it loads.
"""

from __future__ import annotations

import os
import sys
import time

from .comm import abort_with, launcher_rank, limit_threads, world
from .errors import STOPPED, LaunchError, PmcmcError, exit_status
from .signals import Signalled, Watch

WITHOUT_RANKS = (
    "summary",
    "plot",
    "report",
    "export",
    "status",
    "slurm",
    "-h",
    "--help",
    "--version",
)


def main() -> int:
    """Run the command line on this rank; return the exit status."""
    rank = launcher_rank()
    comm = threads = launch_error = None
    # never left: a second signal, as a launcher sends, must not change the exit status
    watch = Watch().__enter__()
    try:
        if not (set(sys.argv[1:2]) & set(WITHOUT_RANKS) or {"-h", "--help"} & set(sys.argv)):
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
            return 0
        from .cli import main as run

        status = run(sys.argv[1:], comm, threads, watch, launch_error)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # as by `| head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except PmcmcError as error:
        if rank == 0:
            print(f"pmcmc: error: {error}", file=sys.stderr, flush=True)
        elif isinstance(error, LaunchError):
            time.sleep(1)  # a launcher may end all when one has ended: let the message out
        return exit_status(error)
    except Signalled as signalled:
        print(f"pmcmc: stopped by {signalled.args[0]}", file=sys.stderr)
        if comm is not None and comm.Get_size() > 1:
            abort_with(comm, STOPPED)
        return STOPPED
    finally:
        watch.close()


if __name__ == "__main__":
    sys.exit(main())

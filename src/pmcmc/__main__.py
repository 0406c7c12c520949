"""Entry point of `python -m pmcmc`: start MPI, limit threads, run, end with one message.

The order matters: numpy, which the command line imports, reads the number of threads as it loads.
"""

from __future__ import annotations

import sys
import time

from .comm import launcher_rank, limit_threads, world
from .errors import LaunchError, PmcmcError, UsageError

WITHOUT_RANKS = ("summary", "status", "-h", "--help", "--version")


def main() -> int:
    """Run the command line on this rank; return the exit status."""
    rank = launcher_rank()
    try:
        comm = threads = None
        if not set(sys.argv[1:2]) & set(WITHOUT_RANKS):
            comm = world()
            rank = comm.Get_rank()
            threads = limit_threads(comm.Get_size(), rank)
        elif rank > 0:
            return 0
        from .cli import main as run

        return run(sys.argv[1:], comm, threads)
    except PmcmcError as error:
        if rank == 0:
            print(f"pmcmc: error: {error}", file=sys.stderr, flush=True)
        elif isinstance(error, LaunchError):
            time.sleep(1)  # a launcher may end all when one has ended: let the message out
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    sys.exit(main())

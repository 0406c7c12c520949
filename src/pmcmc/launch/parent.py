"""What a rank hears of the process that started it: signals, and its end.

The parent writes names of signals, a line each, to the launcher's stdin, which is passed on to
rank 0. Its end closes that pipe; where a launcher does not pass the end on (Open MPI 5), rank 0
sees that the process is gone.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from collections.abc import MutableMapping

from .. import streams
from ..storage.lock_owner import process_start, this_machine

VARIABLE = "PMCMC_PARENT"
_gone = threading.Event()
_EVERY = 1.0  # seconds between two looks for the parent


def describe_parent() -> str:
    """Return what tells ranks of this process, for the environment."""
    pid = os.getpid()
    return "\t".join([socket.gethostname(), this_machine(), str(pid), process_start(pid)])


def listen_to_parent(env: MutableMapping[str, str], rank: int) -> None:
    """Begin to listen, on rank 0 of a job that pmcmc started; else do nothing.

    Parameters
    ----------
    env : mapping
        The environment; what is told of the parent there is taken out.
    rank : int
        This rank.

    """
    told = env.pop(VARIABLE, None)
    if told is None or rank > 0:
        return
    with contextlib.suppress(OSError):
        heard = os.dup(0)  # the model may close stdin, and has nothing to read there
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        threading.Thread(target=_listen, args=(heard, told), daemon=True).start()


def parent_is_gone() -> bool:
    """Tell whether this is rank 0 of a job whose parent has ended."""
    return _gone.is_set()


def _listen(descriptor: int, told: str) -> None:
    names, alive = b"", True
    while alive:
        ready, _, _ = select.select([descriptor], [], [], _EVERY)
        if ready:
            with contextlib.suppress(OSError):
                if not (some := os.read(descriptor, 4096)):
                    break
                *lines, names = (names + some).split(b"\n")
                for line in lines:
                    with contextlib.suppress(KeyError):
                        os.kill(os.getpid(), signal.Signals[line.decode("ascii", "replace")])
        alive = _lives(told)
    _gone.set()
    streams.tell("pmcmc: the process that started the ranks has ended: they stop", error=True)
    os.kill(os.getpid(), signal.SIGTERM)


def _lives(told: str) -> bool:
    """Tell whether the parent lives, as far as can be seen from here."""
    host, machine, pid, start = told.split("\t")
    if host != socket.gethostname() or machine != this_machine() or not start:
        return True
    return process_start(int(pid)) == start

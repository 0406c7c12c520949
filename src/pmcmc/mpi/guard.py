"""A rank that leaves while the others need it is a failure, whatever its exit status.

While the code of a model runs, ``os._exit``, ``MPI.Finalize`` and ``MPI.COMM_WORLD.Abort`` are
others than usual; an exit in C (``exit``, Fortran's STOP) is met by a handler of the C library,
and ``MPI_Finalize`` called in C by an attribute of MPI.COMM_SELF. Nothing here sees a direct
system call, or ``MPI_Abort`` called in C.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from .. import forks, streams
from ..errors import ExitStatus, RankError

if TYPE_CHECKING:
    from .._types import Comm

LET_OUT = 0.5  # seconds that a launcher may need to pass on the last words of a rank
_AtExit = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class ExitGuard:
    """While it is entered, this rank does not leave without a message and status 1.

    Not in forked children, which are no ranks. Several may be entered at a time.

    Parameters
    ----------
    where : str
        Rank and host, `` on rank 3 of 16, host n1``.

    Attributes
    ----------
    doing : callable
        Returns what the rank is at, for the message, or "".

    """

    _entered: ClassVar[list[ExitGuard]] = []
    _undo: ClassVar[list[Callable[[], Any]]] = []
    _pid: ClassVar[int] = 0  # 0: any rank may leave

    def __init__(self, where: str) -> None:
        self.where = where
        self.doing: Callable[[], str] = lambda: ""

    def __enter__(self) -> ExitGuard:
        """Replace what a rank may leave by."""
        if not self._entered:
            self._install()
        self._entered.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put back what was there, once no guard is entered any more."""
        if self not in self._entered:
            return
        self._entered.remove(self)
        if not self._entered:
            self.release()
            while self._undo:
                self._undo.pop()()

    @classmethod
    def release(cls) -> None:
        """Let this rank leave: pmcmc itself ends the job."""
        cls._pid = 0

    @classmethod
    def holds(cls, how: str) -> bool:
        """Tell whether this process must not leave; if so, say who left, and how.

        Parameters
        ----------
        how : str
            As in "the job was left by os._exit(0)".

        """
        if cls._pid != os.getpid():
            return False
        cls.release()
        guard = cls._entered[-1]
        doing = guard.doing()
        text = f"pmcmc: error: the job was left by {how}{guard.where}"
        text += f",{doing}" if doing else ""
        text += "\n  A model returns from log_prob, or raises: then nothing is lost\n"
        streams.flush()
        streams.tell(text, error=True, end="")
        time.sleep(LET_OUT)
        return True

    @classmethod
    def _install(cls) -> None:
        cls._pid = os.getpid()
        cls._undo += [*_guard_exit_in_c(), *_guard_mpi()]
        cls._undo.append(_replace(os, "_exit", _exit))
        cls._undo.append(forks.in_children(cls.release))
        if not faulthandler.is_enabled() and _has_file(sys.stderr):
            faulthandler.enable(sys.stderr)
            cls._undo.append(faulthandler.disable)


def _replace(owner: Any, name: str, new: Any) -> Callable[[], None]:
    """Replace an attribute; return what puts it back."""
    before = getattr(owner, name)
    setattr(owner, name, new)
    return lambda: setattr(owner, name, before)


def _leave(status: int) -> None:
    ctypes.CDLL(None)._exit(status)  # the C library's


def _exit(status: int) -> NoReturn:
    """Stand for os._exit."""
    if ExitGuard.holds(f"os._exit({status})"):
        _abort(max(1, status))
        status = ExitStatus.FAILED
    _leave(status)
    raise SystemExit(status)  # not reached


def _guard_exit_in_c() -> list[Callable[[], Any]]:
    if "CS_GNU_LIBC_VERSION" not in os.confstr_names:  # only glibc can take a handler back
        return []
    library = ctypes.CDLL(None)
    # a handle of its own, as a shared library has: the handlers of a library that is unloaded are
    # called and forgotten, and so is this one once no guard is entered any more
    handle = ctypes.create_string_buffer(1)

    def at_exit(_: Any) -> None:
        if ExitGuard.holds("an exit in C (exit(), Fortran's STOP)"):
            _leave(ExitStatus.FAILED)

    handler = _AtExit(at_exit)
    library["__cxa_atexit"](handler, None, handle)

    def forget(kept: Any = handler) -> None:
        library["__cxa_finalize"](handle)

    # a child that ends without Python's own end has no interpreter left to call it
    return [forget, forks.in_children(forget)]


def _guard_mpi() -> list[Callable[[], Any]]:
    from mpi4py import MPI

    if not MPI.Is_initialized() or MPI.Is_finalized():
        return []

    class Guarded(MPI.Intracomm):
        """MPI.COMM_WORLD, whose Abort is never a success."""

        def Abort(self, errorcode: int = 0) -> NoReturn:
            if ExitGuard.holds(f"MPI.COMM_WORLD.Abort({errorcode})"):
                errorcode = max(1, errorcode)
            super().Abort(errorcode)
            raise SystemExit(errorcode)  # not reached

    def finalize() -> None:
        other = threading.current_thread() is not threading.main_thread()  # nobody hears it raise
        if other and ExitGuard.holds("MPI.Finalize() in a thread"):
            _abort(ExitStatus.FAILED)
            _leave(ExitStatus.FAILED)
        raise RankError(
            f"MPI.Finalize() was called{ExitGuard._entered[-1].where}: the ranks need MPI until "
            "pmcmc has ended"
        )

    def finalized(comm: Comm, key: int, value: Any) -> None:
        if ExitGuard.holds("MPI_Finalize"):
            _leave(ExitStatus.FAILED)

    key = MPI.Comm.Create_keyval(delete_fn=finalized)
    MPI.COMM_SELF.Set_attr(key, True)
    return [
        lambda: MPI.Comm.Free_keyval(key),
        lambda: MPI.COMM_SELF.Delete_attr(key),
        _replace(MPI, "COMM_WORLD", Guarded(MPI.COMM_WORLD)),
        _replace(MPI, "Finalize", finalize),
    ]


def _abort(status: int) -> None:
    """End all ranks where MPI can still do that."""
    from mpi4py import MPI

    if MPI.Is_initialized() and not MPI.Is_finalized():
        MPI.COMM_WORLD.Abort(status)


def _has_file(stream: Any) -> bool:
    try:
        return bool(stream.fileno() >= 0)
    except (AttributeError, OSError, ValueError):  # closed, replaced, or none
        return False

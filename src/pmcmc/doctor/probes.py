"""What one rank finds out by itself: versions, cores, threads, and an output folder."""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .._version import __version__
from ..cores import own_cores
from ..errors import StoreError
from ..model.devices import visible_devices
from ..mpi import startup as comm
from ..sampler import light_emcee
from ..sampler.state import Block, EnsembleState, Rows
from ..storage.file import sync
from ..storage.header import Header
from ..storage.lock import Lock
from ..storage.opening import reason
from ..storage.reader import RunReader
from ..storage.writer import RunWriter
from .records import FolderFacts, RankFacts

_COMMITS = 3
_MAPS = Path("/proc/self/maps")  # Linux: the libraries of this process
_BLAS = (
    "openblas_get_num_threads",
    "openblas_get_num_threads64_",
    "scipy_openblas_get_num_threads",
    "scipy_openblas_get_num_threads64_",
    "MKL_Get_Max_Threads",
    "bli_thread_get_num_threads",
)


# ---- this rank


def own_facts() -> RankFacts:
    """Return what this rank knows of itself."""
    versions = {"pmcmc": __version__, "Python": platform.python_version()}
    versions["emcee"] = light_emcee.emcee.__version__
    for name in ("mpi4py", "numpy", "h5py"):
        versions[name] = importlib.import_module(name).__version__
    versions["HDF5"] = importlib.import_module("h5py").version.hdf5_version
    level = None
    try:
        versions["MPI library"] = comm.mpi_library()
        level = comm.thread_level()
    except (ImportError, RuntimeError):
        pass  # there is no MPI, as comm.world has said
    return RankFacts(
        host=socket.gethostname(),
        executable=sys.executable,
        versions=versions,
        thread_level=level,
        cores=own_cores(),
        omp=os.environ.get("OMP_NUM_THREADS"),
        blas=blas_threads(),
        devices=visible_devices().names,
    )


def blas_threads() -> int | None:
    """Return how many threads the BLAS of numpy and scipy takes; None where it does not tell."""
    try:
        maps = _MAPS.read_text().splitlines()
    except OSError:
        return None
    paths = {line.split(maxsplit=5)[5] for line in maps if ".so" in line}
    found = []
    for path in paths:
        if not any(name in os.path.basename(path) for name in ("openblas", "mkl_rt", "blis")):
            continue
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        calls = [getattr(library, name, None) for name in _BLAS]
        found += [int(call()) for call in calls if call is not None]
    return max(found, default=None)


def mpiexec() -> str:
    """Return the mpiexec that most likely belongs to this interpreter's MPI."""
    beside = Path(sys.executable).parent / "mpiexec"
    return str(beside) if beside.exists() else shutil.which("mpiexec") or "mpiexec"


def read_token(path: str, seconds: float) -> str:
    """Return what is in a file of rank 0's; a shared file system may show it a little late.

    Raises
    ------
    OSError
        If it is not there after some seconds.

    """
    end = time.monotonic() + seconds
    while True:
        try:
            if (text := Path(path).read_text()) or time.monotonic() > end:
                return text
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)


# ---- the output


class Trial(threading.Thread):
    """Tries in a folder what commits need, in a thread: a file system may never answer.

    All of it happens in a new folder inside, which goes away after ``close``.

    Parameters
    ----------
    output : str
        A folder, or a file in one.

    Attributes
    ----------
    tried : threading.Event
        Set when there is no more to be tried.
    token : Path or None
        A file with the text ``TOKEN``, from then until ``close``, where one could be written.

    """

    TOKEN = "pmcmc doctor"

    def __init__(self, output: str) -> None:
        super().__init__(daemon=True)
        self.tried = threading.Event()
        self.token: Path | None = None
        self._closed = threading.Event()
        self._folder = Path(output)
        self._names_folder = output.endswith("/")
        self._errors: dict[str, str] = {}
        self._doing: str | None = None
        self._free: int | None = None
        self._commit: float | None = None

    def close(self, seconds: float) -> bool:
        """Let it clean up; tell whether it has, within some seconds."""
        self._closed.set()
        self.join(seconds)
        return not self.is_alive()

    def facts(self, unseen: dict[int, str]) -> FolderFacts:
        """Return what there is to be told, after ``close``."""
        stuck = self._doing if self.is_alive() else None
        return FolderFacts(
            str(self._folder), dict(self._errors), stuck, self._free, self._commit, unseen
        )

    def run(self) -> None:
        """Try one thing after the other."""
        place: list[tempfile.TemporaryDirectory[str]] = []
        try:
            if self._try("folder", self._find) and self._try("write", lambda: self._write(place)):
                self._steps(Path(place[0].name))
        finally:
            self.tried.set()
            self._closed.wait()
            self._doing = "removal"
            for one in place:
                one.cleanup()

    def _try(self, step: str, act: Callable[[], None]) -> bool:
        self._doing = step
        try:
            act()
        except Exception as exc:  # whatever it was: that it failed is what we want to know
            self._errors[step] = reason(exc) or type(exc).__name__
            return False
        self._errors[step] = ""
        return True

    def _find(self) -> None:
        self._folder = Path(os.path.abspath(self._folder))
        file = bool(self._folder.suffix) or self._folder.is_file()
        if file and not (self._names_folder or self._folder.is_dir()):
            self._folder = self._folder.parent
        if not self._folder.is_dir():
            there = self._folder.exists()
            raise StoreError("it is not a folder" if there else "there is no such folder")

    def _write(self, place: list[tempfile.TemporaryDirectory[str]]) -> None:
        space = shutil.disk_usage(self._folder)
        self._free = space.free if space.total else None  # /proc and the like have none
        place.append(
            tempfile.TemporaryDirectory(
                prefix=".pmcmc-doctor-", dir=self._folder, ignore_cleanup_errors=True
            )
        )
        token = Path(place[0].name) / "token"
        token.write_text(self.TOKEN)
        self.token = token

    def _steps(self, folder: Path) -> None:
        token = folder / "token"
        whole = [
            self._try("fsync", lambda: _sync_both(token)),
            self._try("rename", lambda: _rename(folder)),
            self._try("lock", lambda: _lock(folder)),
        ]
        self._try("hard link", lambda: os.link(token, folder / "link"))
        if all(whole):
            self._try("HDF5", lambda: self._commits(folder / "trial.h5"))

    def _commits(self, path: Path) -> None:
        """Create a file, commit to it, and read it back as any reader does."""
        header = Header("doctor", ("x",), "", {}, 0, 2, 0, 1, (_COMMITS,), {})
        store = RunWriter(path, header)
        store.create()
        taken = []
        for i in range(_COMMITS):
            began = time.monotonic()
            store.commit([_block(i)], "running" if i + 1 < _COMMITS else "finished")
            taken.append(time.monotonic() - began)
        reader = RunReader(path)
        chain = reader.values("chain", 0, slice(0, _COMMITS))
        wanted = np.concatenate([_block(i).kept.chain for i in range(_COMMITS)])
        if reader.status != "finished" or not np.array_equal(chain, wanted):
            raise StoreError("what was read back is not what was written")
        self._commit = statistics.median(taken)


def _block(i: int) -> Block:
    """Return a step of an ensemble of two walkers, with values of its own."""
    coords = np.array([[i + 0.25], [i + 0.5]])
    accepted, random = np.zeros(2), np.random.RandomState(i).get_state(legacy=True)
    assert isinstance(random, tuple)
    none = Rows(np.zeros((0, 2, 1)), np.zeros((0, 2)), None, None)
    rows = Rows(coords[None], coords.T, None, random)
    state = EnsembleState(i + 1, accepted, accepted, coords, coords[:, 0], None, random)
    return Block(0, none, rows, state)


def _sync_both(token: Path) -> None:
    sync(token)
    sync(token.parent)


def _rename(folder: Path) -> None:
    """Put a file in the place of another."""
    old, new = folder / "old", folder / "new"
    old.write_text("old")
    new.write_text("new")
    os.replace(new, old)
    if old.read_text() != "new" or new.exists():
        raise StoreError("the new file did not take the place of the old one")


def _lock(folder: Path) -> None:
    lock = Lock(folder / "trial.h5")
    lock.acquire()
    lock.check()
    lock.release()
    if lock.path.exists():
        raise StoreError("the lock was taken, but not given up")

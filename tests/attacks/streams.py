"""Streams, environments and limits that a command may be given, and locks that lie in its way."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
from pathlib import Path

import numpy as np

from pmcmc.storage.lock_owner import LockOwner

from . import job
from .models import MODEL, RUN

REDIRECTIONS = (
    ">&-",
    "2>&-",
    ">&- 2>&-",
    "<&- >&- 2>&-",
    ">/dev/full",
    "2>/dev/full",
    ">/dev/full 2>&1",
    "| true",
    "| head -c 10",
    "2>&1 | true",
    "<&-",
    "</dev/zero",
    "</nowhere-that-is",
)
SETTINGS = (
    "PYTHONIOENCODING=ascii",
    "PYTHONIOENCODING=utf-16",
    "LC_ALL=C PYTHONUTF8=0",
    "LANG=xx_YY",
    "COLUMNS=1",
    "COLUMNS=0",
    "COLUMNS=-3",
    "COLUMNS=many",
    "TERM=",
    "TMPDIR=/nowhere",
    "HOME=/nowhere",
    "PYTHONOPTIMIZE=2",
    "PYTHONWARNINGS=error::UserWarning",
    "PYTHONUNBUFFERED=1",
    "PYTHONHASHSEED=7",
    "TZ=Nonsense",
    "OMP_NUM_THREADS=many",
    "OMP_NUM_THREADS=0",
    "SLURM_JOB_ID=x",
    "SLURM_CPUS_PER_TASK=none",
    "MPLBACKEND=no",
    "HDF5_USE_FILE_LOCKING=FALSE",
    "HDF5_DISABLE_VERSION_CHECK=0",
    "MPI4PY_RC_THREADS=0",
    "MPI4PY_RC_INITIALIZE=0",
)
LIMITS = (
    "ulimit -n 40;",
    "ulimit -f 20;",
    "ulimit -s 1024;",
    "ulimit -v 3000000;",
    "ulimit -u 4000;",
    "umask 777;",
    "umask 000;",
    "mkdir -p gone; cd gone; rmdir ../gone;",
    "trap '' TERM INT HUP PIPE;",
)
COMMANDS = (
    "run",
    "status truth.h5",
    "status truth.h5 --json",
    "summary truth.h5",
    "summary truth.h5 --ensembles --json",
    "export truth.h5 --format csv -o e.csv --overwrite",
    "doctor",
    "run --dry-run",
    "slurm model.py --ranks 4 --time 1:00:00",
    "--help",
    "run --help",
    "status /nowhere.h5",
    "nonsense",
)


def _run(more: str = "") -> str:
    here = " ".join(RUN).replace("model.py", "$HERE/model.py").replace("x.h5", "$HERE/x.h5")
    return f"{here} {more}"


def prepare(folder: Path, python: str) -> None:
    """Write the model, and a file to read."""
    (folder / "model.py").write_text(MODEL)
    (folder / "victim").write_text("precious")
    ended = job.run([python, *RUN], folder)
    if ended.status:
        raise SystemExit(f"an undisturbed run fails: {ended}")
    os.replace(folder / "x.h5", folder / "truth.h5")


def attempt(folder: Path, seed: int, python: str) -> tuple[str, str, str]:
    """Try one way of starting a command; return its kind, its end, and what is wrong."""
    if seed % 4 == 0:
        return _lock(folder, seed, python)
    _clear(folder)
    rng = np.random.default_rng(seed)
    ways = [("stream", r) for r in REDIRECTIONS]
    ways += [("setting", s) for s in SETTINGS] + [("limit", limit) for limit in LIMITS]
    kind, way = ways[(seed // 4 * 3 + seed % 4) % len(ways)]
    name = str(rng.choice(["run"] * 8 + list(COMMANDS)))
    ranks = int(rng.choice([0, 0, 2, 3])) if name == "run" else 0
    start = " ".join(map(shlex.quote, job.ranks_of(job.launcher(python), ranks)))
    said = _run() if name == "run" else f"-m pmcmc {name}".replace("truth", "$HERE/truth")
    if name == "run --dry-run":
        said = _run("--dry-run")
    shell = {
        "stream": f"set -o pipefail; {start} {said} {way}",
        "setting": f"export {way}; {start} {said}",
        "limit": f"{way} {start} {said}",
    }[kind]
    ended = job.run(["bash", "-c", f"HERE=$PWD; {shell}"], folder)
    wrong = job.complaint(ended)
    if wrong == "fails without a word" and kind == "stream":
        wrong = ""  # it had nowhere to say it
    output = folder / "x.h5"
    if not wrong and name == "run" and ended.status == 0:
        with contextlib.suppress(OSError):
            output.chmod(0o600)
        wrong = job.same_files(output, folder / "truth.h5")
    elif not wrong and output.exists() and name == "run":
        wrong = job.wrong_draws(output, folder / "truth.h5")
    if wrong:
        wrong = f"{shell}: {wrong}\n{ended.status}\n{ended.out[-800:]}\n{ended.err[-1500:]}"
    return f"{kind}, {name.split()[0]}", f"status {ended.status}", wrong


def _clear(folder: Path) -> None:
    (folder / "x.h5").unlink(missing_ok=True)
    lock = folder / ".x.h5.lock"
    if lock.is_dir() and not lock.is_symlink():
        shutil.rmtree(lock)
    lock.unlink(missing_ok=True)


def _plant(lock: Path, rng: np.random.Generator) -> str:
    """Put something where the lock goes; return what."""
    owner = LockOwner.here()
    kind = str(rng.choice(["fifo", "folder", "link", "loop", "device", "sparse", "bytes", "deep",
                           "fields", "fields", "fields", "hard", "ours"]))  # fmt: skip
    if kind == "fifo":
        os.mkfifo(lock)
    elif kind == "folder":
        lock.mkdir()
    elif kind == "link":
        lock.symlink_to("victim")
    elif kind == "loop":
        lock.symlink_to(lock.name)
    elif kind == "device":
        lock.symlink_to("/dev/zero")
    elif kind == "sparse":
        with lock.open("wb") as file:
            file.truncate(2**36)
    elif kind == "bytes":
        lock.write_bytes(rng.bytes(int(rng.integers(0, 3000))))
    elif kind == "deep":
        lock.write_text("[" * 50000)
    elif kind == "hard":
        os.link(lock.parent / "victim", lock)
    else:
        told = json.loads(owner.text())
        if kind == "fields":
            values = [None, -1, 2**70, "", "x\n\x1b[31m", [], {}, 1.5, True, "\ud800", "9" * 5000]
            for field in rng.choice(list(told), size=2, replace=False):
                told[str(field)] = values[int(rng.integers(len(values)))]
        lock.write_text(json.dumps(told))
    return kind


def _lock(folder: Path, seed: int, python: str) -> tuple[str, str, str]:
    rng = np.random.default_rng(seed)
    output, lock, truth = folder / "x.h5", folder / ".x.h5.lock", folder / "truth.h5"
    _clear(folder)
    kind = _plant(lock, rng)
    if rng.random() < 0.3:
        os.utime(lock, (0, 0), follow_symlinks=False)
    more = [[], ["--break-lock"], ["--resume"], ["--overwrite"]][int(rng.integers(4))]
    ended = job.run([python, *RUN, *more], folder)
    wrong = job.complaint(ended)
    if not wrong and ended.status == 0:
        wrong = job.same_files(output, truth)
    if not wrong and output.exists():
        told = job.run([python, "-m", "pmcmc", "status", "x.h5"], folder)
        wrong = job.complaint(told)
    if (folder / "victim").read_text() != "precious":
        wrong = "wrote into another file"
        (folder / "victim").write_text("precious")
    if wrong:
        wrong = f"lock: {kind} {more}: {wrong}\n{ended.status}\n{ended.out[-500:]}\n{ended.err}"
    return "lock", f"status {ended.status}", wrong

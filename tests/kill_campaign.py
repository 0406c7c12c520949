"""Kills runs at random instants, again and again, and resumes them: nothing may be lost.

    python tests/kill_campaign.py [--kills 200] [--seed S] [--folder FOLDER]

Each chain is one run of many small ensembles, which commits as often as it can. It is started on
2 to 4 ranks in some mode, something of it gets SIGKILL (rank 0, another rank, mpiexec, all at
once), the file is read by plain h5py, by emcee and by pmcmc, and the same command with --resume
goes on, on other ranks in another mode, with a larger --nsteps once the first target is reached.
When a chain is through, its file must equal, bit for bit, that of a run nobody disturbed.

The model notes what rank 0 is doing, in a file beside the output, by wrapping methods of the
store; what stands there after a kill is where it died. A kill is aimed at a stage, waits for it,
and comes after a random delay; the table says what was hit. Ends with status 1 at the first loss.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import io
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import emcee
import h5py
import numpy as np

from conftest import _launcher, clean_env
from pmcmc.cli.main import main as pmcmc_main
from pmcmc.storage.checkpoint import group_name
from pmcmc.storage.header import PHASES
from pmcmc.storage.reader import RunReader
from reference import assert_same_files

MODEL = """
import os, struct
import numpy as np
import pmcmc.storage.writer

parameters, initial = ["a", "b", "c"], [0.0, 0.0, 0.0]
def log_prob(theta):
    lp = -0.5 * float(theta @ theta)
    return (lp, theta[0], int(theta[1] > 0)) if BLOBS else lp
if BLOBS:
    blobs_dtype = [("x", float), ("up", "i4")]

handle = os.open("stage", os.O_RDWR)
def note(stage, committed=None):
    # what rank 0 is doing, how often that changed, steps that are safe
    _, count, before = struct.unpack("<cqq", os.pread(handle, 17, 0))
    now = before if committed is None else committed
    os.pwrite(handle, struct.pack("<cqq", stage, count + 1, now), 0)

def noted(name, stage_of):
    real = getattr(pmcmc.storage.writer.RunWriter, name)
    def method(self, *args, **kwargs):
        stage = stage_of(self, *args, **kwargs)
        note(stage)
        real(self, *args, **kwargs)
        done = int(self._record.data["ensembles"]["steps"].sum())
        note(b"e" if stage == b"l" else b"s", done)
    setattr(pmcmc.storage.writer.RunWriter, name, method)

def reopening(self, reader, *more):
    return b"o" if self.header.steps == reader.header.steps else b"g"

if int(os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", 0))) == 0:
    note(b"m")
    noted("create", lambda self, *args: b"n")
    noted("reopen", reopening)
    noted("commit", lambda self, blocks, status="running": b"c" if status == "running" else b"l")
"""
STAGES = {
    b"w": "starting, before the model is read",
    b"m": "starting, before the file is touched",
    b"n": "creation with the first commit",
    b"o": "reopening at a resume",
    b"g": "growth: written anew at a resume",
    b"c": "commit",
    b"s": "sampling between commits",
    b"l": "the final commit",
    b"e": "the end, after the final commit",
}
COMMITTING = (b"n", b"g", b"c", b"l")
# (stage to wait for, seconds of random delay from there, weight)
AIMS = (
    (b"w", 1.5, 1),
    (b"m", 0.3, 1),
    (b"n", 0.06, 3),
    (b"o", 0.06, 1),
    (b"g", 0.06, 3),
    (b"c", 0.6, 8),
    (b"l", 0.06, 3),
    (b"e", 0.1, 1),
)
VICTIMS = ("rank 0", "another rank", "mpiexec", "all at once")
SHAPES = ("--mode split", "--mode pool", "--teams 2", "--mode pool --schedule demand")
PACES = (0.0001, 0.1, 0.2)  # --checkpoint; a commit takes about 0.05 s
NENSEMBLES, BURNIN, TARGETS = 40, 10, (40 * 30, 40 * 60 + 7)
VARIANTS = {  # name: (with blobs, options)
    "plain": (False, []),
    "blobs": (True, []),
    "thinned": (False, ["--thin-by", "2"]),
}
PATIENCE = 20.0  # seconds within which a job must be gone after a kill


class Loss(Exception):
    """What a kill must not do."""


class Job:
    """A run under mpiexec, with all its processes."""

    def __init__(self, folder: Path, ranks: int, arguments: list[str]) -> None:
        self.folder = folder
        launcher = _launcher(sys.executable)
        if launcher is None:
            raise SystemExit("there is no mpiexec: pip install '.[mpich,test]'")
        extra = ["--oversubscribe", "--bind-to", "none"] if launcher.openmpi else []
        command = [launcher.mpiexec, *extra, "-n", str(ranks), launcher.python, "-m", "pmcmc"]
        self.ranks, self.killed = ranks, False
        self.stage_file = os.open(folder / "stage", os.O_RDWR | os.O_CREAT)
        committed = self.committed if (folder / "run.h5").exists() else 0
        os.pwrite(self.stage_file, struct.pack("<cqq", b"w", 0, committed), 0)
        self.output = (folder / "output").open("w+")
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            env=clean_env(),
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )

    @property
    def stage(self) -> bytes:
        """What rank 0 is doing, or was doing when it died."""
        return os.pread(self.stage_file, 1, 0)

    @property
    def committed(self) -> int:
        """Steps over all ensembles that rank 0 took to be safe."""
        return struct.unpack("<cqq", os.pread(self.stage_file, 17, 0))[2]

    def wait_for(self, stage: bytes, seconds: float) -> bool:
        """Wait for a stage; False if the run ended first."""
        limit = time.monotonic() + seconds
        while self.stage != stage:
            if self.process.poll() is not None or time.monotonic() > limit:
                return False
            time.sleep(2e-4)
        return True

    def pids(self) -> list[int]:
        """All processes: the ranks first, in no order, then what started them."""
        found = below(self.process.pid)
        ranks = [p for p in found if b"pmcmc" in cmdline(p) and b"-n\0" not in cmdline(p)]
        return ranks + [p for p in found if p not in ranks]

    def rank_0(self) -> int | None:
        """The process of rank 0."""
        for pid in self.pids():
            with contextlib.suppress(OSError):
                env = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if {b"PMI_RANK=0", b"OMPI_COMM_WORLD_RANK=0"} & set(env):
                    return pid
        return None

    def kill(self, victim: str, rng: random.Random) -> bool:
        """Send SIGKILL; False if there was nothing left to kill."""
        self._all = self.pids()
        ranks = [p for p in self._all if p != self.process.pid and b"-m\0pmcmc" in cmdline(p)]
        chosen = {self.process.pid}
        if victim == "all at once":
            chosen = {self.process.pid, *self._all}
        elif victim != "mpiexec":
            first = self.rank_0()
            others = [p for p in ranks if p != first]
            if victim == "rank 0" and first is not None:
                chosen = {first}
            elif victim == "another rank" and first is not None and others:
                chosen = {rng.choice(others)}
        if self.process.poll() is not None:
            return False
        for pid in chosen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.killed = True
        return True

    def end(self) -> float:
        """Wait until no process is left; return the seconds that took."""
        began = time.monotonic()
        known = set(getattr(self, "_all", ())) | {self.process.pid}
        while True:
            known |= {p for k in [*known, os.getpid()] for p in below(k)} - {os.getpid()}
            self.process.poll()
            for pid in known - {self.process.pid}:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)  # orphans come to us
            alive = sorted(p for p in known if lives(p))
            took = time.monotonic() - began
            if not alive:
                break
            if took > PATIENCE:
                text = ", ".join(f"{p} ({cmdline(p)!r})" for p in alive)
                for pid in alive:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                raise Loss(f"{PATIENCE:.0f} s after the kill these were still there: {text}")
            time.sleep(5e-3)
        self.output.seek(0)
        self.said = self.output.read()
        self.output.close()
        return took

    def close(self) -> None:
        """Give up the file of stages."""
        os.close(self.stage_file)


def below(pid: int) -> list[int]:
    """Return the descendants of a process."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(c) for t in tasks for c in (t / "children").read_text().split()]
    except OSError:
        return []
    return children + [p for child in children for p in below(child)]


def cmdline(pid: int) -> bytes:
    """Return the command of a process, empty if there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def lives(pid: int) -> bool:
    """Tell whether a process is more than its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# ---- what must hold after a kill


class Undisturbed:
    """The run that nobody killed."""

    def __init__(self, folder: Path, variant: str) -> None:
        self.path = folder / f"{variant}.h5"
        blobs, options = VARIANTS[variant]
        (folder / "stage").write_bytes(bytes(17))
        (folder / f"{variant}.py").write_text(f"BLOBS = {blobs}\n{MODEL}")
        command = [sys.executable, "-m", "pmcmc", f"{variant}.py", *fixed(TARGETS[1]), *options]
        subprocess.run(command, cwd=folder, env=clean_env(), check=True, stdout=subprocess.DEVNULL)
        with h5py.File(self.path) as file:
            self.rows = {
                (phase, e, name): dataset[...]
                for phase in PHASES
                for e in range(NENSEMBLES)
                for name, dataset in file[group_name(phase, e)].items()
            }


def fixed(nsteps: int) -> list[str]:
    """Return the options that define the draws."""
    values = {
        "nsteps": nsteps,
        "nensembles": NENSEMBLES,
        "burnin": BURNIN,
        "nwalkers": 8,
        "seed": 5,
    }
    return [text for k, v in values.items() for text in (f"--{k}", str(v))]


def check(path: Path, truth: Undisturbed, before: np.ndarray, committed: int) -> RunReader:
    """Check a file after a kill.

    ``before`` are the steps of each ensemble at the last look, ``committed`` those that the run
    took to be safe, over all ensembles.
    """
    with h5py.File(path) as file:  # plainly, with HDF5's own locking
        file.visititems(lambda name, item: item[:1] if isinstance(item, h5py.Dataset) else None)
    reader = RunReader(path)
    if reader.status == "finished" and tuple(reader.rows) != reader.header.steps:
        raise Loss(f"it is finished, with {reader.rows} of {reader.header.steps} steps")
    if (reader.steps < before).any() or reader.steps.sum() < committed:
        raise Loss(f"it holds {reader.steps}; there were {before}, in all {committed}")
    for i, phase in enumerate(PHASES):
        counts = (reader.burnin_rows, reader.rows)[i]
        for e in range(NENSEMBLES):
            backend = emcee.backends.HDFBackend(path, name=group_name(phase, e), read_only=True)
            seen = backend.iteration
            if seen > counts[e]:
                raise Loss(f"emcee sees {seen} rows of {phase} {e}, {counts[e]} are there")
            for name in ("chain", "log_prob", "blobs"):
                if (expected := truth.rows.get((phase, e, name))) is None:
                    continue
                ours = reader.values(name, e, slice(0, counts[e]), phase)
                same(ours, expected[: counts[e]], f"{name} of {phase} {e}")
                if seen:
                    theirs = getattr(backend, f"get_{name}")()
                    same(theirs, expected[:seen], f"emcee's {name} of {phase} {e}")
    code = status(path)
    if code != (0 if reader.status == "finished" else 75):
        raise Loss(f"status exits with {code}, and the file is {reader.status}")
    return reader


def same(found: np.ndarray, expected: np.ndarray, what: str) -> None:
    """Compare bit for bit."""
    if found.shape != expected.shape or found.tobytes() != expected.tobytes():
        raise Loss(f"{what} is not what an undisturbed run has")


def status(path: Path) -> int:
    """Return the exit status of `pmcmc status`."""
    with contextlib.redirect_stdout(io.StringIO()):
        return pmcmc_main(["status", str(path)])


# ---- chains of kills


class Tally:
    """What was hit."""

    def __init__(self) -> None:
        self.stages: collections.Counter[bytes] = collections.Counter()
        self.victims: collections.Counter[str] = collections.Counter()
        self.phases: collections.Counter[str] = collections.Counter()
        self.kills = self.missed = self.chains = self.ended = self.stale = self.torn = 0
        self.longest = 0.0

    def __str__(self) -> str:
        """Return the table."""
        hits = sum(self.stages[s] for s in COMMITTING)
        lines = [
            f"{self.kills} kills, {hits} of them during a commit ({hits / self.kills:.0%}); "
            f"{self.missed} came too late, the run had ended",
            f"{self.chains} runs brought to their end, all bit for bit as undisturbed",
            f"after {self.torn} kills the newest record was torn and the one before in use, after "
            f"{self.stale} emcee's view lagged behind the record",
            f"all processes gone within {self.longest:.2f} s of a kill",
            "what rank 0 was doing:",
            *(f"  {self.stages[s]:5d}  {name}" for s, name in STAGES.items()),
            "what was there:",
            *(f"  {n:5d}  {name}" for name, n in sorted(self.phases.items())),
            "what was killed:",
            *(f"  {self.victims[v]:5d}  {v}" for v in VICTIMS),
        ]
        return "\n".join(lines)


class Chain:
    """One run, killed and resumed until it is through."""

    def __init__(self, folder: Path, variant: str, truth: Undisturbed, rng: random.Random) -> None:
        self.folder, self.truth, self.rng = folder, truth, rng
        self.path = folder / "run.h5"
        shutil.copy(truth.path.with_suffix(".py"), folder / "model.py")
        self.options = VARIANTS[variant][1]
        self.steps = np.zeros(NENSEMBLES, dtype=int)
        self.target = 0  # index into TARGETS

    def start(self) -> Job:
        """Start or resume, in some shape."""
        ranks, shape = self.rng.choice([2, 3, 4]), self.rng.choice(SHAPES)
        pace = self.rng.choice(PACES)
        arguments = [*fixed(TARGETS[self.target]), *self.options, *shape.split()]
        arguments += ["--checkpoint", str(pace)]
        what = ["model.py", *arguments, "--output", "run.h5", "--resume", "--no-progress"]
        self.last = f"{ranks} ranks, {shape}, checkpoint {pace}, nsteps {TARGETS[self.target]}"
        return Job(self.folder, ranks, what)

    def aim(self) -> tuple[bytes, float]:
        """Choose when to kill."""
        grows = self.path.exists() and self.target > 0
        possible = [
            (stage, span, weight)
            for stage, span, weight in AIMS
            if (stage != b"n" or not self.path.exists())
            and (stage != b"o" or self.path.exists())
            and (stage != b"g" or (grows and not self.grown))
        ]
        stage, span, _ = self.rng.choices(possible, [p[2] for p in possible])[0]
        return stage, self.rng.uniform(0, span)

    @property
    def grown(self) -> bool:
        """Whether the file has room for the second target."""
        return sum(RunReader(self.path).header.steps) == TARGETS[1]

    def go(self, tally: Tally, kill: bool) -> bool:
        """Start once, and kill; return whether the chain is through."""
        job = self.start()
        hit = False
        if kill:
            stage, delay = self.aim()
            if job.wait_for(stage, 60):
                time.sleep(delay)
            victim = self.rng.choice(VICTIMS)
            hit = job.kill(victim, self.rng)
        else:
            job.process.wait(120)
        took = job.end()
        stage, committed = job.stage, job.committed
        job.close()
        code = job.process.returncode
        self.last += f", in stage {STAGES[stage]!r}, ended with {code}\n{job.said}"
        if not hit and code != 0:
            raise Loss(f"it was not killed, and ended with status {code}")
        if hit:
            tally.kills += 1
            tally.stages[stage] += 1
            tally.victims[victim] += 1
            tally.longest = max(tally.longest, took)
        tally.missed += kill and not hit
        there = self.look(tally if hit else None, committed)
        if code == 0 and there != "finished":
            raise Loss(f"it ended with status 0, and the file is {there}")
        if there != "finished" or self.grown != (self.target == 1):
            return False
        if self.target == 0:
            self.target = 1
            return False
        return code == 0

    def look(self, tally: Tally | None, committed: int) -> str:
        """Check what there is, and return in which state."""
        if not self.path.exists():
            if self.steps.any() or committed:
                raise Loss("the file is gone")
            there, what = "nothing", "no file yet"
        else:
            reader = check(self.path, self.truth, self.steps, committed)
            self.steps = reader.steps
            there = what = reader.status
            if there != "finished":
                what = "mid burn-in" if (self.steps < BURNIN).any() else "mid production"
            if tally is not None:
                with h5py.File(self.path) as file:
                    slots = sorted(int(n) for n in file["state"]["sequence"])
                    rows = [file[group_name("ensembles", e)].attrs["iteration"] for e in range(40)]
                tally.torn += reader.sequence != slots[1]
                tally.stale += bool((rows != reader.rows).any())
        if tally is not None:
            tally.phases[what] += 1
        return there

    def finish(self) -> None:
        """Compare with the undisturbed run, and look for what is left."""
        assert_same_files(self.path, self.truth.path)
        kept = {"run.h5", "model.py", "stage", "output", "__pycache__"}
        for path in self.folder.iterdir():
            # what was put beside the lock at a kill goes after five minutes
            if path.name not in kept and not re.fullmatch(r"\.run\.h5\.lock\..*", path.name):
                raise Loss(f"{path.name} was left behind")


def main() -> int:
    """Kill, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--folder", type=Path, default=None, help="kept (default: a temporary one)"
    )
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if args.seed is None else args.seed
    rng, tally = random.Random(seed), Tally()
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans come to us
    root = args.folder or Path(tempfile.mkdtemp(prefix="pmcmc-kills-"))
    root.mkdir(exist_ok=True)
    began = time.monotonic()
    print(f"seed {seed}, in {root}", flush=True)
    truths = {variant: Undisturbed(root, variant) for variant in VARIANTS}
    while tally.kills < args.kills:
        variant = rng.choice(list(VARIANTS))
        folder = root / f"chain-{tally.chains}"
        folder.mkdir()
        chain = Chain(folder, variant, truths[variant], rng)
        try:
            while not chain.go(tally, kill=tally.kills < args.kills):
                pass
            chain.finish()
        except Exception as exc:
            print(f"after {tally.kills} kills, {folder}: {type(exc).__name__}: {exc}")
            print(f"the last of it: {chain.last}")
            return 1
        tally.chains += 1
        shutil.rmtree(folder)
        print(
            f"{tally.kills} kills, {tally.chains} runs, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    print(tally)
    if args.folder is None:
        shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())

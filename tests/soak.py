"""One long run under disturbance: signals, kills, suspensions and resumes at random, for hours.

    python tests/soak.py [--hours 2] [--ranks 4] [--seed 1] [--folder FOLDER]

A run of eight ensembles commits every second. Now and then, at random, it gets SIGTERM, SIGUSR1 or
SIGINT (and has to end with 75), SIGKILL on a rank or on all, or a rank is suspended for some
seconds; it is resumed, in another mode. The memory of each rank is looked at every few seconds:
after its first minute it must not grow by more than a tenth and 8 MB. In the end the run is
brought to a target, and its file has to be, bit for bit, that of a run that nobody disturbed.
Status 1 if anything is wrong. The time is that under disturbance; the undisturbed run comes on
top.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from conftest import _launcher, clean_env
from pmcmc.storage.reader import RunReader
from reference import assert_same_files

MODEL = """
import time
import numpy as np
parameters, initial = ["a", "b", "c"], [0.1, 0.2, -0.1]
def log_prob(theta):
    if PACE:
        time.sleep(PACE)
    return -0.5 * float(theta @ theta)
"""
PACE = 2e-3  # seconds of an evaluation, under disturbance
NENSEMBLES, NWALKERS = 8, 16
SHAPES = ("--mode split", "--mode pool", "--teams 2", "--mode pool --schedule demand")
EVENTS = ("TERM", "USR1", "INT", "kill a rank", "kill all", "suspend a rank")
LIFE = (20.0, 150.0)  # seconds from one event to the next
FIRST, MORE, SLACK = 60.0, 1.1, 8e6  # seconds; growth of a rank's memory that is allowed


def ranks_of(job: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the ranks, without what started them."""
    with contextlib.suppress(psutil.NoSuchProcess):
        below = psutil.Process(job.pid).children(recursive=True)
        return [
            p for p in below if "-m pmcmc" in " ".join(p.cmdline()) and "-n" not in p.cmdline()
        ]
    return []


class Soak:
    """A run that is disturbed.

    Attributes
    ----------
    wrong : list of str
        What was not as it should be.

    """

    def __init__(self, folder: Path, ranks: int, rng: random.Random, steps: int) -> None:
        self.folder, self._ranks, self._rng, self._steps = folder, ranks, rng, steps
        self.wrong: list[str] = []
        self.counts = dict.fromkeys(EVENTS, 0)
        self.most = 0.0
        (folder / "model.py").write_text(MODEL.replace("PACE", str(PACE)))

    def start(self) -> subprocess.Popen[bytes]:
        launcher = _launcher(sys.executable)
        if launcher is None:
            raise SystemExit("there is no mpiexec: pip install '.[mpich,test]'")
        extra = ["--oversubscribe", "--bind-to", "none"] if launcher.openmpi else []
        command = [
            launcher.mpiexec,
            *extra,
            "-n",
            str(self._ranks),
            launcher.python,
            "-m",
            "pmcmc",
        ]
        command += options(self._steps) + self._rng.choice(SHAPES).split()
        command += ["--checkpoint", "1", "--resume", "--break-lock"]
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                command, cwd=self.folder, env=clean_env(), stdout=said, stderr=said,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def live(self, until: float) -> None:
        """Run once, until an event ends it, or the time is up."""
        job, event = self.start(), self._rng.choice(EVENTS)
        began, first = time.monotonic(), dict[int, float]()
        end = min(until, began + self._rng.uniform(*LIFE))
        while time.monotonic() < end and job.poll() is None:
            time.sleep(2.0)
            for rank in ranks_of(job):
                with contextlib.suppress(psutil.NoSuchProcess):
                    size = float(rank.memory_info().rss)
                    if time.monotonic() - began < FIRST:
                        first[rank.pid] = max(size, first.get(rank.pid, 0.0))
                    elif rank.pid in first:
                        self.most = max(self.most, size / first[rank.pid])
                        if size > MORE * first[rank.pid] + SLACK:
                            self.wrong.append(
                                f"a rank grew from {first[rank.pid]:.3g} to {size:.3g}"
                            )
                            first[rank.pid] = size
        if job.poll() is None:
            self.counts[event] += 1
            self.disturb(job, event)
        if job.poll() is None:
            job.send_signal(signal.SIGTERM)
            self.ended(job, "TERM")
        elif job.returncode == 0 and RunReader(self.folder / "run.h5").status != "finished":
            self.wrong.append("a run that is not finished ended with 0")

    def disturb(self, job: subprocess.Popen[bytes], event: str) -> None:
        ranks = ranks_of(job)
        if event.startswith("kill"):
            chosen = ranks if event == "kill all" else self._rng.sample(ranks, min(1, len(ranks)))
            for rank in chosen:
                with contextlib.suppress(psutil.NoSuchProcess):
                    rank.kill()
            self.ended(job, event)
        elif event == "suspend a rank":
            for rank in self._rng.sample(ranks, min(1, len(ranks))):
                with contextlib.suppress(psutil.NoSuchProcess):
                    rank.suspend()
                    time.sleep(self._rng.uniform(1.0, 15.0))
                    rank.resume()
            time.sleep(3.0)
        else:
            job.send_signal(getattr(signal, f"SIG{event}"))
            self.ended(job, event)

    def ended(self, job: subprocess.Popen[bytes], event: str) -> None:
        try:
            status = job.wait(60.0)
        except subprocess.TimeoutExpired:
            self.wrong.append(f"60 s after {event} it still ran")
            for process in [*ranks_of(job), psutil.Process(job.pid)]:
                process.kill()
            job.wait()
            return
        if not event.startswith("kill") and status not in (75, 0, 128 + 2, 2):
            self.wrong.append(f"after {event} it ended with {status}")


def options(steps: int) -> list[str]:
    """Return what makes the draws."""
    fixed = {"nsteps": steps, "burnin": 50, "nensembles": NENSEMBLES, "nwalkers": NWALKERS}
    words = [f"--{key}={value}" for key, value in fixed.items()]
    return ["model.py", "--output", "run.h5", "--seed", "7", "--no-progress", *words]


def main() -> int:
    """Soak, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="pmcmc-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {args.seed}, in {folder}", flush=True)
    # so many that no run of this time ends by itself
    steps = int(3600 * args.hours * args.ranks / (PACE * NWALKERS)) + 1000
    soak = Soak(folder, args.ranks, random.Random(args.seed), steps)
    until, lives = time.monotonic() + 3600 * args.hours, 0
    while time.monotonic() < until:
        soak.live(until)
        lives += 1
        if lives % 10 == 0:
            rows = RunReader(folder / "run.h5").rows
            print(
                f"{lives} lives, {int(rows.sum())} steps, {soak.counts}, {soak.wrong}", flush=True
            )
    reached = int(RunReader(folder / "run.h5").rows.max()) * NENSEMBLES
    quick = MODEL.replace("PACE", "0")
    truth = folder / "undisturbed"
    truth.mkdir(exist_ok=True)
    for where, more in ((folder, ["--resume", "--break-lock"]), (truth, ["--overwrite"])):
        (where / "model.py").write_text(quick)
        command = [sys.executable, "-m", "pmcmc", *options(reached), *more]
        subprocess.run(command, cwd=where, env=clean_env(), check=True, stdout=subprocess.DEVNULL)
    try:
        assert_same_files(folder / "run.h5", truth / "run.h5")
    except AssertionError as exc:
        soak.wrong.append(f"another file than undisturbed: {str(exc)[:300]}")
    print(f"{lives} lives, {reached} steps, {soak.counts}")
    print(f"the memory of a rank grew to {soak.most:.3f} of that of its first minute at most")
    print("\n".join(soak.wrong) or "nothing was wrong: the file is that of an undisturbed run")
    return bool(soak.wrong)


if __name__ == "__main__":
    sys.exit(main())

"""From the call to the first evaluation on two ranks, through every door.

    OMP_NUM_THREADS=1 python tests/benchmarks/start.py [--ranks 2] [--rounds 7] [--priors]
    OMP_NUM_THREADS=1 python tests/benchmarks/start.py --ranks 16 --before SRC

``pmcmc.run(problem, ranks=2)`` in an interpreter that is up, beside ``mpiexec -n 2 python -m
pmcmc``, ``python -m pmcmc --ranks 2``, and the start of ipyparallel's engines with MPI, which then
run the same. With --before the second is mpiexec with the sources of an earlier pmcmc, and nothing
else. With --priors the model has a table of priors, as the template of `init`. Each round has one
of each, in turn; the table has medians. The machine should be idle.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pmcmc

MODEL = """
import time
from pathlib import Path
parameters, initial = ["a", "b"], [0.0, 0.0]
began = Path(BEGAN)
def log_prob(theta):
    if not began.exists():
        began.write_text(repr(time.time()))
    return -0.5 * float(theta @ theta)
"""
PRIORS = """
try:
    from pmcmc import stats
except ImportError:  # an earlier pmcmc
    from scipy import stats
parameters, initial = {"a": stats.norm(0, 1), "b": stats.uniform(-5, 10)}, [0.0, 0.0]
"""
RUN = {"nsteps": 40, "burnin": 5, "seed": 1, "progress": False}


class Doors:
    """Ways to the same run, in a folder."""

    def __init__(self, folder: Path, ranks: int, priors: bool, before: Path | None) -> None:
        self.folder, self.ranks, self.before = folder, ranks, before
        self.began = folder / "began"
        text = MODEL.replace("BEGAN", repr(str(self.began)))
        if priors:
            head, function = text.split("def log_prob")
            text = head + PRIORS + "def log_likelihood" + function
        (folder / "model.py").write_text(text)
        model: dict[str, object] = {}
        exec(text, model)
        name = "log_likelihood" if priors else "log_prob"
        given = {name: model[name], "parameters": model["parameters"]}
        self.problem = pmcmc.Problem(initial=[0.0, 0.0], **given)
        options = [w for k, v in RUN.items() if k != "progress" for w in (f"--{k}", str(v))]
        self.words = [sys.executable, "-m", "pmcmc", "model.py", *options, "--no-progress"]

    def _command(self, *words: str, source: Path | None = None) -> None:
        env = os.environ | ({"PYTHONPATH": str(source)} if source else {})
        subprocess.run(words, cwd=self.folder, env=env, stdout=subprocess.DEVNULL, check=True)

    def python(self) -> None:
        pmcmc.run(self.problem, ranks=self.ranks, **RUN)

    def mpiexec(self, source: Path | None = None) -> None:
        beside = Path(sys.executable).with_name("mpiexec")
        launcher = str(beside) if beside.exists() else "mpiexec"
        words = (*self.words, "--output", "m.h5")
        self._command(launcher, "-n", str(self.ranks), *words, source=source)

    def earlier(self) -> None:
        self.mpiexec(self.before)

    def option(self) -> None:
        self._command(*self.words, "--ranks", str(self.ranks), "--output", "o.h5")

    def engines(self) -> None:
        import ipyparallel

        cluster = ipyparallel.Cluster(engines="mpi", n=self.ranks, log_level=40)
        client = cluster.start_and_connect_sync()
        try:
            client[:].apply_sync(os.chdir, str(self.folder))
            client[:].push({"RUN": RUN}, block=True)
            client[:].execute(
                "import pmcmc; exec(open('model.py').read())\n"
                "pmcmc.run(pmcmc.Problem(log_prob, parameters, initial=initial), **RUN)",
                block=True,
            )
        finally:
            client.close()
            cluster.stop_cluster_sync()

    def seconds(self, door: Callable[[], None]) -> float:
        """Return the seconds from a call to the first evaluation."""
        for left in (self.began, *self.folder.glob("*.h5")):
            left.unlink(missing_ok=True)
        called = time.time()
        door()
        return float(self.began.read_text()) - called


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--priors", action="store_true")
    parser.add_argument("--before", type=Path, metavar="SRC")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["IPYTHONDIR"] = folder
        os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        doors = Doors(Path(folder), args.ranks, args.priors, args.before)
        ways = {
            f"mpiexec -n {args.ranks} python -m pmcmc": doors.mpiexec,
            f"python -m pmcmc --ranks {args.ranks}": doors.option,
            f"pmcmc.run(problem, ranks={args.ranks})": doors.python,
            "engines of ipyparallel, started": doors.engines,
        }
        if args.before:
            ways = {next(iter(ways)): doors.mpiexec, f"the same of {args.before}": doors.earlier}
        took: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(args.rounds):
            for name, door in ways.items():
                took[name].append(doors.seconds(door))
    first = next(iter(ways))
    print(f"{'':<36}{'seconds':>9}{'less mpiexec':>14}{'ratio':>7}   medians of {args.rounds}")
    for name, seconds in took.items():
        pairs = list(zip(seconds, took[first], strict=True))
        more = statistics.median(a - b for a, b in pairs)
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{name:<36}{statistics.median(seconds):>9.2f}{more:>+14.2f}{ratio:>7.2f}")


if __name__ == "__main__":
    main()

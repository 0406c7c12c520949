"""Rank 0 of a run of thousands of teams: what messages, commits and checks cost it.

    OMP_NUM_THREADS=1 python tests/benchmarks/scale.py [--teams 1000,10000] [--ndim 5]

The coordinator, the writer and the checks are the real ones; the team roots are simulated: each
sends real messages and blocks (random walks of 32 walkers), and nothing goes through MPI. One
ensemble a team. Targets at 10,000: a commit in less than 1 s, a check in less than 2 s, less than
2 GB. The file is in the folder TMPDIR.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import pmcmc
from pmcmc.engine.coordinator import Coordinator
from pmcmc.engine.deadline import Deadline
from pmcmc.engine.messages import Limit, Progress
from pmcmc.engine.progress import ProgressReporter
from pmcmc.engine.state import RunState
from pmcmc.prepare.output import OutputClaim
from pmcmc.prepare.setup import _begin, _Costs
from pmcmc.sampler.state import Block, EnsembleState, Rows

NWALKERS = 32


class Channel:
    """Stands in for the messages of rank 0: those to the roots are counted, and the last kept."""

    rank, where, rounds = 0, " on rank 0", 0

    def __init__(self, size: int) -> None:
        self.size, self.sent = size, 0
        self.inbox: dict[type, Any] = {}

    def send(self, message: object, to: int = 0) -> None:
        self.sent += 1
        self.inbox[type(message)] = message

    def broadcast_from_root(self, message: object) -> None:
        self.send(message)

    spread = broadcast_from_root

    def send_to_each(self, message: object, ranks: Any) -> None:
        for rank in ranks:
            self.send(message, rank)


class Team:
    """A simulated team root: one ensemble of walkers that draw from a normal anew at each step."""

    def __init__(self, number: int, ndim: int, rng: np.random.Generator) -> None:
        self.number, self.ndim, self.rng = number, ndim, rng
        self.steps = self.kept = 0
        self.accepted = np.zeros(NWALKERS)

    def block(self, burnin: int, kept: int) -> Block:
        parts = []
        for n in (burnin, kept):
            chain = self.rng.standard_normal((n, NWALKERS, self.ndim))
            random = ("MT19937", np.full(624, self.number + 1, np.uint32), 3, 0, 0.0)
            parts.append(Rows(chain, -0.5 * (chain**2).sum(axis=2), None, random if n else None))
        self.steps += burnin + kept
        last = parts[1] if kept else parts[0]
        state = EnsembleState(
            self.steps,
            self.accepted,
            self.accepted,
            last.chain[-1],
            last.log_prob[-1],
            None,
            random,
        )
        return Block(self.number, *parts, state)

    def progress(self) -> Progress:
        return Progress(False, False, self.steps, self.steps, 0.5, 1, 0, 0.1, 0.1)


class Timed:
    """Seconds of parts, printed as they come."""

    def __init__(self, teams: int) -> None:
        self._teams = teams

    def __call__(self, what: str, began: float) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{self._teams:>7}  {what:<38}{time.perf_counter() - began:>9.3f} s  {peak:6.2f} GB")


def run(teams: int, ndim: int, folder: Path) -> None:
    """Take one run from its start to a check."""
    said = Timed(teams)
    problem = pmcmc.Problem(
        lambda t: -0.5 * float(t @ t), [f"p{i}" for i in range(ndim)], initial=[0.1] * ndim
    )
    problem.probe()
    began = time.perf_counter()
    found = {"mode": "split", "nensembles": teams, "burnin": 20, "seed": 1, "rescue": False}
    found |= {"nsteps": 300 * teams, "until_ess": 1e12}
    setup = _begin(problem, found | {"output": "x.h5"}, teams, (), _Costs(0.1))
    said("the plan", began)
    channel: Any = Channel(teams)
    output = OutputClaim(folder / "x.h5")
    output.claim(setup.options)
    reporter = ProgressReporter(on=False, progress=False, rank=0)
    coordinator = Coordinator(
        setup, channel, RunState(channel, 30.0), reporter, output, Deadline(None, 0.0), exit
    )
    rng = np.random.default_rng(1)
    roots = [Team(e, ndim, rng) for e in range(teams)]

    began = time.perf_counter()
    coordinator.begin()
    said("the start told to all", began)

    def commit(what: str, burnin: int, kept: int) -> None:
        blocks = [[root.block(burnin, kept)] for root in roots]
        for root in roots:
            coordinator.handle(root.number, root.progress())
        began = time.perf_counter()
        coordinator.commit(blocks)
        said(what, began)

    commit("the first commit (a new file)", 20, 5)
    commit("a commit of 5 rows each", 0, 5)
    commit("another", 0, 5)
    check = coordinator.checker.check

    def timed_check() -> str | None:
        began = time.perf_counter()
        status = check()
        said("of that the check", began)
        return status

    coordinator.checker.check = timed_check
    began = time.perf_counter()
    for root in roots:
        coordinator.handle(root.number, root.progress())
    coordinator.decide_next()
    said("progress of all, taken in", began)
    limit = channel.inbox[Limit].step
    left = limit - roots[0].steps
    commit(f"a commit and the check at step {limit}", 0, left)
    began = time.perf_counter()
    coordinator._state.stop("SIGTERM")
    coordinator.decide_next()
    said("a stop told to all", began)
    coordinator._call(final=True)
    commit("the last commit", 0, 5)
    output.release()
    began = time.perf_counter()
    reader = pmcmc.load(folder / "x.h5")
    said("the file opened to be read", began)
    print(f"{teams:>7}  messages sent: {channel.sent}; {reader.ndraws} draws")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teams", default="1000,10000")
    parser.add_argument("--ndim", type=int, default=5)
    args = parser.parse_args()
    for teams in map(int, args.teams.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            run(teams, args.ndim, Path(folder))


if __name__ == "__main__":
    main()

"""The planner's efficiency at scales that no machine here has, beside what korali published.

    python tests/benchmarks/simulated.py

Share of the ranks' time in log_prob, of runs of 1,000 steps of each ensemble of 32 walkers with
the default moves, teams of 16 ranks: the median of 25 seeds, and their range. korali (Martin et
al. 2022) published 92% on 512 workers for a cost of 3978 +- 1268 s, and 87% on 4,096 workers for
249 +- 67 s. Commits are those of scale.py: 0.1 ms an ensemble, once a minute. Seconds of
simulation are the planner's own, of one.
"""

from __future__ import annotations

import statistics
import time

from pmcmc.planner.costs import Batches, CallCost, SystemCost, lognormal
from pmcmc.planner.predict import Predictor, Shape
from pmcmc.planner.steps import Length

WIDTH, SEEDS = 16, 25
AUTO = ((0.2, 2), (0.4, 2), (0.4, 4))
# ranks, mean and sd of the cost in seconds, ensembles a team, what it is to be above
RUNS = [
    (1_000, 0.1, 0.0, 4, 0.90),
    (10_000, 0.1, 0.0, 4, 0.90),
    (10_000, 0.1, 0.05, 8, 0.90),
    (10_000, 0.1, 0.1, 8, 0.90),
    (512, 3978.0, 1268.0, 4, 0.92),
    (4_096, 249.0, 67.0, 4, 0.87),
    (100_000, 1.0, 0.5, 8, 0.90),
]


def main() -> None:
    """Print the table."""
    print(
        "  ranks  cost (s)        ensembles  efficiency  of 25 seeds     to be above  simulated in"
    )
    for ranks, mean, sd, each, least in RUNS:
        system = SystemCost(latency=2e-5, commit=1e-4)
        call, teams = CallCost(lognormal(mean, sd)), ranks // WIDTH
        shape, found = Shape(ranks, ((WIDTH, each),) * teams), []
        began = time.perf_counter()
        for seed in range(SEEDS):
            predictor = Predictor(Batches(32, AUTO), call, system, seed=seed)
            found.append(predictor.predict(shape, Length(300, 700)).efficiency)
        took = (time.perf_counter() - began) / SEEDS
        print(
            f"{ranks:>7}  {mean:g} +- {sd:<8g} {teams * each:>9}{statistics.median(found):>12.3f}"
            f"  {min(found):.3f} to {max(found):.3f}{least:>13.2f}{took:>13.2f} s"
        )


if __name__ == "__main__":
    main()

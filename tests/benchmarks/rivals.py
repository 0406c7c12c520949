"""pmcmc with its defaults beside all rivals: time and evaluations to ESS 1000 and R-hat 1.01.

    pip install '.[mpich]' zeus-mcmc autoemcee corner dynesty nautilus-sampler ipyparallel
    OMP_NUM_THREADS=1 python tests/benchmarks/rivals.py [--problems "line,1 ms"] [--ranks 1,4]

Problems: the article's line; one that sleeps 1 ms; one of uneven cost (496 walkers for those that
ask for a number, as in emcee's example of load balance, the cost scaled down); a vectorized one of
10 parameters. All draws are judged by one estimator (see rival_runs.py); nested samplers run until
their own effective number is 1000, and have no R-hat; autoemcee until its own R-hat is reached,
and again with chains of 40 tau, as the estimator wants 20 in the half that it reads. pmcmc stops
by itself, with --until-ess 1000 --until-rhat 1.01 and else its defaults, and has to have reached
the goals by that estimator too. Seconds are of sampling, start-up apart; the machine should be
idle.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
from rival_runs import PROBLEMS, SAMPLERS, judge

from pmcmc.model.walkers import few_nwalkers

HERE = Path(__file__).parent
MODEL = """
import sys
sys.path.insert(0, {here!r})
from rival_runs import PROBLEMS, box, start
from scipy import stats
function, ndim, _ = PROBLEMS[{name!r}]
low, high = box({name!r})
parameters = [f"p{{i}}" for i in range(ndim)]
vectorized = {name!r} == "vectorized"
log_prob = function
initial = start({name!r}, 1)[0]
"""
UNDER_MPI = ("emcee + schwimmbad", "emcee + mpi4py.futures", "zeus")
UNDER_MPI += ("autoemcee", "autoemcee, 40 tau")
ALONE = ("emcee",)  # on one rank only
NOT_ALONE = ("emcee + schwimmbad", "emcee + mpi4py.futures", "emcee + multiprocessing")
NO_POOL = ("emcee + schwimmbad", "emcee + mpi4py.futures", "emcee + multiprocessing")  # vectorized


def mpiexec(ranks: int) -> list[str]:
    return [str(Path(sys.executable).parent / "mpiexec"), "-n", str(ranks)]


def pmcmc(name: str, ranks: int, seconds: float, more: Sequence[str] = ()) -> dict[str, Any]:
    """Run pmcmc with its defaults, and more options."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "model.py").write_text(MODEL.format(here=str(HERE), name=name))
        command = [*mpiexec(ranks), sys.executable, "-m", "pmcmc", "model.py", "--no-progress"]
        command += ["--seed", "1", "--until-ess", "1000", "--until-rhat", "1.01"]
        command += ["--max-time", f"{seconds + 20}s", *more]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False)
        with h5py.File(folder / "model.h5") as file:
            times = file.attrs["timings"]
            chains = [group["chain"][...] for group in file["ensembles"].values()]
            status = str(file.attrs["status"])
    # its burn-in is apart already: what the judge leaves out is put before
    ess, worst = judge([_twice(chain) for chain in chains])
    spent, calls = float(times["wall"].max()), int(times["evaluations"].sum())
    done = status == "finished"
    return {
        "seconds": spent,
        "ess": ess,
        "r_hat": worst,
        "ess_seconds": spent if done and ess >= 1000 else None,
        "ess_evaluations": calls,
        "r_hat_seconds": spent if done and worst <= 1.01 else None,
        "r_hat_evaluations": calls,
    }


def with_few_walkers(name: str, ranks: int, seconds: float) -> dict[str, Any]:
    """Run pmcmc with the walkers that `plan` advises on few ranks."""
    nwalkers = few_nwalkers(PROBLEMS[name][1])
    return pmcmc(name, ranks, seconds, ["--nwalkers", str(nwalkers)])


def _twice(chain: Any) -> Any:
    import numpy as np

    return np.concatenate([chain, chain])


def rival(sampler: str, name: str, ranks: int, seconds: float) -> dict[str, Any] | None:
    """Run another sampler; None where it fails."""
    launch = mpiexec(ranks) if sampler in UNDER_MPI else []
    command = [*launch, sys.executable, str(HERE / "rival_runs.py"), sampler, name, str(ranks)]
    paths = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH", "")]))
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}  # for engines too
    try:
        done = subprocess.run(
            [*command, str(seconds)], env=env, capture_output=True, text=True, check=False,
            timeout=3 * seconds + 60,
        )  # fmt: skip
    except subprocess.TimeoutExpired as exc:
        print(f"    {sampler} failed: {exc}", file=sys.stderr)
        return None
    # whatever its exit status: under MPICH schwimmbad's ranks may be killed at the very end
    found = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not found:
        print(f"    {sampler} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    return dict(json.loads(found[-1])) if found else None


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


OWN = {"pmcmc": pmcmc, "pmcmc, few walkers": with_few_walkers}


def main() -> None:
    """Print a table of each problem and number of ranks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", default="line,1 ms,uneven,vectorized")
    parser.add_argument("--ranks", default="1,2,4,8")
    parser.add_argument("--samplers", default=";".join([*OWN, *SAMPLERS]), help="with ; between")
    parser.add_argument("--seconds", type=float, default=120.0, help="at most, of sampling")
    parser.add_argument("--json", type=Path, help="write all figures there")
    args = parser.parse_args()
    every = []
    for name in args.problems.split(","):
        for ranks in map(int, args.ranks.split(",")):
            print(
                f"\n{name}, {ranks} ranks      s to ESS   s to R-hat  evaluations to both",
                flush=True,
            )
            for sampler in args.samplers.split(";"):
                if (ranks > 1 and sampler in ALONE) or (ranks == 1 and sampler in NOT_ALONE):
                    continue
                if name == "vectorized" and sampler in NO_POOL:
                    continue
                run = OWN.get(sampler, partial(rival, sampler))
                found = run(name, ranks, args.seconds)
                if found is None:
                    continue
                calls = max(found.get("ess_evaluations") or 0, found.get("r_hat_evaluations") or 0)
                print(
                    f"  {sampler:<26}{shown(found['ess_seconds']):>9}"
                    f"{shown(found['r_hat_seconds']):>13}{calls or '-':>15}",
                    flush=True,
                )
                every.append({"problem": name, "ranks": ranks, "sampler": sampler, **found})
    if args.json:
        args.json.write_text(json.dumps(every, indent=1))


if __name__ == "__main__":
    main()

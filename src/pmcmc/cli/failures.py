"""The commands on evaluations that failed: rejects, try. They need no MPI."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from ..errors import EvaluationError, ExitStatus, UsageError
from ..model.problem import Problem
from ..results.rejects import find_reject, read_rejects, rejects_text
from ..storage.place import shown_path
from ..storage.reader import RunReader
from ..storage.reject_log import KEPT, log_path
from ..text import count_text, duration_text
from ..tracebacks import traceback_text


def rejects(path: Path, as_json: bool) -> int:
    """Print the evaluations that a run rejected."""
    reader = RunReader(path)
    found, whole = read_rejects(reader)
    burnin, production = reader.rejected.sum(axis=0).tolist()
    if as_json:
        about = {"file": str(path), "burnin": burnin, "production": production}
        share = reader.rejected_share
        print(json.dumps({**about, "share": share, "complete": whole, "rejects": found}))
        return ExitStatus.DONE
    print(
        f"{path}: {count_text(burnin + production, 'rejected evaluation')}: {burnin} of the start "
        f"and burn-in, {production} after it, {100 * reader.rejected_share:.2g}% of the "
        "evaluations there"
    )
    if not whole:
        print(
            f"{shown_path(log_path(path))} is not there, or not whole: of the first {KEPT}, which "
            "the file keeps:"
        )
    if found:
        print(rejects_text(found))
        print(f"again: python -m pmcmc try {path} 0")
    return ExitStatus.DONE


def try_again(path: Path, number: int, model: str | None) -> int:
    """Evaluate a rejected point again, and print what comes of it."""
    one, output = find_reject(path, number)
    if model is None:
        model = RunReader(output).header.origin.get("path", "")
    if not model:
        raise UsageError(f"{shown_path(output)} does not tell its model: name it with --model")
    problem = Problem.load(model)
    if set(problem.names) != set(one["parameters"]):
        raise UsageError(
            f"{model} has the parameters {', '.join(problem.names)}, and this evaluation "
            f"{', '.join(one['parameters'])}: is it the model of this run?"
        )
    if problem.posterior.takes_comm:
        from ..pool.together import group_of_one

        problem.join(group_of_one())
    theta = np.array([float(one["parameters"][name]) for name in problem.names])
    print(f"{one['kind']} in ensemble {one['ensemble']}, step {one['step']}: {one['message']}")
    print(problem.describe(theta).strip(), flush=True)
    began = time.perf_counter()
    try:
        result = problem.log_prob(theta[None] if problem.vectorized else theta)
    except KeyboardInterrupt:
        raise
    except Exception as exc:
        took = duration_text(time.perf_counter() - began)
        raise EvaluationError(f"after {took}: {traceback_text(exc)}") from exc
    print(f"log_prob returned {result!r} after {duration_text(time.perf_counter() - began)}")
    return ExitStatus.DONE

"""Rejected evaluations and time limits on real ranks: what is counted, and what is written."""

import json

import numpy as np
import pytest

import pmcmc
from pmcmc.storage.reject_log import KEPT, log_path
from reference import assert_same_draws

HEAD = """
import os, subprocess, time
import numpy as np
from scipy import stats
parameters = {"a": stats.norm(0, 1), "b": stats.norm(0, 1)}
initial, nwalkers = "prior", 8
def log_likelihood(theta):
"""
FAILS = """    if theta[0] > 1: raise ValueError("too large")
    return np.nan if theta[1] > 1 else 0.0
"""
CUTS = "    return -np.inf if theta[0] > 1 or theta[1] > 1 else 0.0"
ARGS = ["--nsteps", 60, "--burnin", 10, "--seed", 3, "--nensembles", 2, "--no-progress"]
SHAPES = {
    "alone": (0, []),
    "split": (2, ["--mode", "split"]),
    "pool": (3, ["--mode", "pool"]),
    "demand": (3, ["--mode", "pool", "--schedule", "demand"]),
}


def run(launch, folder, ranks, text, output, *more, status=0):
    (folder / "m.py").write_text(HEAD + text)
    done = launch(
        ranks, "-m", "pmcmc", "m.py", *ARGS, "--output", output, *more, cwd=folder, timeout=90
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("shape", SHAPES)
def test_the_draws_are_those_without_the_rejected_region(launch, tmp_path, shape):
    ranks, more = SHAPES[shape]
    run(launch, tmp_path, ranks, FAILS, "x.h5", "--on-error", "reject", *more)
    run(launch, tmp_path, 0, CUTS, "cut.h5")
    assert_same_draws(tmp_path / "x.h5", tmp_path / "cut.h5")
    result = pmcmc.load(tmp_path / "x.h5")
    lines = [json.loads(line) for line in log_path(tmp_path / "x.h5").read_text().splitlines()]
    counted = np.zeros((2, 2), dtype=int)
    for one in lines:
        counted[one["ensemble"], int(one["step"] > 10)] += 1
        assert one["parameters"]["a"] > 1 or one["parameters"]["b"] > 1
        assert (one["kind"] == "exception") == (one["parameters"]["a"] > 1)
    np.testing.assert_array_equal(result.reader.rejected, counted)
    assert counted.min() > 0
    rows = result.reader.reject_rows()
    assert len(rows) == min(KEPT, len(lines))
    assert [int(row["step"]) for row in rows] == [one["step"] for one in lines[:KEPT]]
    table = str(result)
    assert "% of the evaluations after burn-in were rejected" in table
    listed = launch(0, "-m", "pmcmc", "rejects", "x.h5", cwd=tmp_path).stdout
    assert f"{len(lines)} rejected evaluations" in listed
    assert "ValueError: too large (m.py:" in listed
    again = launch(0, "-m", "pmcmc", "try", "x.h5", 0, cwd=tmp_path)
    first = lines[0]
    if first["kind"] == "exception":
        assert again.returncode == 1
        assert 'raise ValueError("too large")' in again.stderr
    else:
        assert "log_prob returned" in again.stdout


def test_a_stop_and_a_resume_count_each_once(launch, tmp_path):
    text = FAILS + "\n".replace("\n", "\n")
    run(launch, tmp_path, 0, text, "whole.h5", "--on-error", "reject")
    stops = HEAD.replace("def log_like", "calls = []\ndef log_like") + (
        "    if os.environ.get('END') and os.path.exists('x.h5'): calls.append(0)\n"
        "    if len(calls) == 300: os.kill(os.getpid(), 9)\n"
    )
    (tmp_path / "m.py").write_text(stops + FAILS)
    given = [*ARGS, "--output", "x.h5", "--on-error", "reject", "--checkpoint", 0.001]
    killed = launch(0, "-m", "pmcmc", "m.py", *given, cwd=tmp_path, env={"END": "1"}, timeout=60)
    assert killed.returncode == -9
    log = log_path(tmp_path / "x.h5")
    with log.open("a") as file:  # as a kill between the text and the record leaves it
        file.write('{"ensemble": 0, "step": 99, "kind": "NaN"')
    before = pmcmc.load(tmp_path / "x.h5").reader
    assert 0 < before.rejected.sum() < pmcmc.load(tmp_path / "whole.h5").reader.rejected.sum()
    done = launch(2, "-m", "pmcmc", "m.py", "--resume", "--output", "x.h5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_draws(tmp_path / "x.h5", tmp_path / "whole.h5")
    ours, whole = (pmcmc.load(tmp_path / name).reader.rejected for name in ("x.h5", "whole.h5"))
    np.testing.assert_array_equal(ours, whole)

    def told(name):
        lines = [json.loads(line) for line in log_path(tmp_path / name).read_text().splitlines()]
        return sorted((o["ensemble"], o["step"], *o["parameters"].values()) for o in lines)

    assert told("x.h5") == told("whole.h5")


TIMEOUTS = {
    "loop": "while True: pass",
    "swallows": "\n        try:\n            time.sleep(60)\n        except Exception: pass",
    "children": "subprocess.run(['sh', '-c', 'sleep 60 & sleep 61; true'])",
}


@pytest.mark.parametrize("shape", ["split", "pool", "demand"])
@pytest.mark.parametrize("what", TIMEOUTS)
def test_what_takes_too_long_is_rejected(launch, tmp_path, what, shape):
    ranks, more = SHAPES[shape]
    text = f"    if theta[0] > 1.6:\n        {TIMEOUTS[what].lstrip()}\n    return 0.0"
    args = ["--on-error", "reject", "--log-prob-timeout", "0.2", "--nsteps", 6, "--burnin", 2]
    run(launch, tmp_path, ranks, text, "x.h5", *args, *more)
    result = pmcmc.load(tmp_path / "x.h5")
    assert result.reader.rejected.sum() > 0
    run(launch, tmp_path, 0, "    return -np.inf if theta[0] > 1.6 else 0.0", "cut.h5",
        "--nsteps", 6, "--burnin", 2)  # fmt: skip
    assert_same_draws(tmp_path / "x.h5", tmp_path / "cut.h5")


def test_what_takes_too_long_ends_the_job_by_default(launch, tmp_path):
    text = "    if theta[0] > 1:\n        time.sleep(60)\n    return 0.0"
    done = run(launch, tmp_path, 2, text, "x.h5", "--log-prob-timeout", "0.3", status=1)
    assert "log_prob took longer than 300 ms" in done.stderr
    assert "at a = 1." in done.stderr


@pytest.mark.parametrize("ranks", [0, 2])
def test_code_that_never_comes_back_to_python_ends_the_job(launch, tmp_path, ranks):
    text = (
        "    if os.environ.get('HANG') and theta[0] > 2.2: sum(range(10**12))\n"
        "    return -np.inf if theta[0] > 2.2 else 0.0"
    )
    more = ["--on-error", "reject", "--log-prob-timeout", "0.3", "--checkpoint", "0.01"]
    (tmp_path / "m.py").write_text(HEAD + text)
    line = ["-m", "pmcmc", "m.py", *ARGS, "--output", "x.h5", *more]
    done = launch(ranks, *line, cwd=tmp_path, timeout=60, env={"HANG": "1"})
    assert done.returncode != 0
    assert "did not come back to Python within 300 ms" in done.stderr
    done = launch(ranks, *line, "--resume", cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    run(
        launch, tmp_path, 0, CUTS.replace("theta[0] > 1 or theta[1] > 1", "theta[0] > 2.2"), "y.h5"
    )
    assert_same_draws(tmp_path / "x.h5", tmp_path / "y.h5")


def test_a_log_of_another_run_is_not_replaced(launch, tmp_path):
    log_path(tmp_path / "x.h5").write_text("mine")
    done = run(launch, tmp_path, 0, CUTS, "x.h5", "--on-error", "reject", status=2)
    assert "x.h5.rejects.jsonl is there, of a run whose file is not" in done.stderr
    run(launch, tmp_path, 0, CUTS, "x.h5")  # which writes none
    assert log_path(tmp_path / "x.h5").read_text() == "mine"

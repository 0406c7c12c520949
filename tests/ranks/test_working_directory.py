"""The working directory is the user's: a model that changes it changes nothing for pmcmc."""

import pytest

import pmcmc

MODEL = """
import os, tempfile, time
AT_IMPORT
ndim = 2
initial = [0.0, 0.0]
def log_prob(theta):
    IN_LOG_PROB
    return -0.5 * float(theta @ theta)
"""
AWAY = "os.chdir(tempfile.mkdtemp())"
NOW_AND_THEN = f"calls.append(0) or len(calls) % 30 or {AWAY}"
LINE = "--nsteps 200 --burnin 10 --seed 1 --checkpoint 0.05 --output x.h5"
ARGS = LINE.split()


def run(launch, tmp_path, model, ranks, at_import, in_log_prob, *more):
    text = MODEL.replace("AT_IMPORT", at_import).replace("IN_LOG_PROB", in_log_prob)
    return launch(ranks, "-m", "pmcmc", model(text), *ARGS, *more, cwd=tmp_path, timeout=60)


@pytest.mark.parametrize(
    ("at_import", "in_log_prob", "more"),
    [
        (AWAY, "pass", ()),
        pytest.param("calls = []", NOW_AND_THEN, ("--mode", "pool"), marks=pytest.mark.slow),
        pytest.param("calls = []", NOW_AND_THEN, ("--mode", "split"), marks=pytest.mark.slow),
        pytest.param("calls = []", NOW_AND_THEN, ("--schedule", "demand"), marks=pytest.mark.slow),
    ],
)
def test_the_output_is_where_the_run_was_started(
    launch, tmp_path, model, at_import, in_log_prob, more
):
    done = run(launch, tmp_path, model, 2, at_import, in_log_prob, *more)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert sorted(p.name for p in tmp_path.iterdir()) in (
        ["__pycache__", "model.py", "x.h5"],
        ["model.py", "x.h5"],
    )
    result = pmcmc.load(tmp_path / "x.h5")
    assert (result.status, sum(result.steps)) == ("finished", 200)
    refused = run(launch, tmp_path, model, 2, at_import, in_log_prob, *more)
    assert refused.returncode == 2
    assert "exists, and nothing was changed" in refused.stderr
    longer = (*more, "--resume", "--nsteps", "240")
    again = run(launch, tmp_path, model, 2, at_import, in_log_prob, *longer)
    assert again.returncode == 0, again
    assert sum(pmcmc.load(tmp_path / "x.h5").steps) == 240


def test_a_working_directory_that_is_gone(launch, tmp_path, model):
    gone = "import shutil; d = tempfile.mkdtemp(); os.chdir(d); shutil.rmtree(d)"
    done = run(launch, tmp_path, model, 2, gone, "pass")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert pmcmc.load(tmp_path / "x.h5").status == "finished"

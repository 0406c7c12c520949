"""Each example on one rank and on three: the same draws, and a posterior that is the right one."""

import re
import shutil
import subprocess

import h5py
import numpy as np
import pytest

import pmcmc
from conftest import ROOT
from reference import assert_same_draws

EXAMPLES = ROOT / "examples"
# steps of a short run, and what plain emcee finds with another start, seed and mixture of moves:
# mean, sd, and the standard error of that mean
KNOWN = {}


def run(launch, folder, ranks, model, *more):
    args = ["--seed", 1, "--no-progress", "--output", f"{ranks}.h5", *more]
    done = launch(ranks, "-m", "pmcmc", EXAMPLES / model, *args, cwd=folder, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done, folder / f"{ranks}.h5"


def built(model):
    if model == "external/model.py":
        if shutil.which("cc") is None or shutil.which("make") is None:
            pytest.skip("no C compiler")
        subprocess.run(["make", "-C", EXAMPLES / "external"], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_the_same_draws_on_one_rank_and_on_three(launch, tmp_path, name):
    steps, burnin, _ = KNOWN[name]
    built(f"{name}.py")
    args = ["--nsteps", steps // 20, "--burnin", burnin // 10, "--nensembles", 2]
    files = [run(launch, tmp_path, ranks, f"{name}.py", *args)[1] for ranks in (0, 3)]
    assert_same_draws(*files)


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_the_posterior_is_the_right_one(launch, tmp_path, name):
    steps, burnin, known = KNOWN[name]
    built(f"{name}.py")
    args = ["--nsteps", steps, "--burnin", burnin, "--nensembles", 2]
    _, file = run(launch, tmp_path, 3, f"{name}.py", *args)
    rows = {row.name: row for row in pmcmc.load(file).summary().rows}
    assert list(rows) == list(known)
    for name, (mean, sd, error) in known.items():
        row = rows[name]
        assert abs(row.mean - mean) < 4.5 * np.hypot(row.mcse, error), name
        assert row.sd == pytest.approx(sd, rel=0.25), name


def test_one_ensemble_misleads_and_several_tell(launch, tmp_path):
    done, file = run(launch, tmp_path, 0, "bimodal.py", "--nensembles", 1)
    assert "\nenough: " in done.stdout
    with h5py.File(file) as h5:
        x = h5["ensembles/0000/chain"][..., 0]
    assert (x > 0).all()  # one mode, and a word that it is enough
    done = launch(
        3, "-m", "pmcmc", EXAMPLES / "bimodal.py", "--seed", 1, "--no-progress", "--nensembles", 4,
        "--nsteps", 1200, "--burnin", 200, "--output", "four.h5", cwd=tmp_path,
    )  # fmt: skip
    assert "\nnot enough: " in done.stdout


@pytest.mark.slow
def test_dynesty_finds_both_modes_on_any_number_of_ranks(launch, tmp_path):
    said = [
        launch(ranks, EXAMPLES / "dynesty_pool.py", 200, cwd=tmp_path, timeout=100).stdout
        for ranks in (0, 3)
    ]
    assert said[0] == said[1]
    evidence, error = map(float, re.search(r"evidence (\S+) \+- (\S+)", said[0]).groups())
    # the likelihood integrates to 2 pi width^2, over a prior of 40 x 40
    assert abs(evidence - np.log(2 * np.pi * 0.3**2 / 1600)) < 4 * error
    assert abs(float(re.search(r"first mode (\S+),", said[0])[1]) - 2 / 3) < 0.12


def test_every_example_is_tested():
    files = {p.relative_to(EXAMPLES).as_posix() for p in EXAMPLES.rglob("*.py")}
    tested = {f"{name}.py" for name in KNOWN}
    assert files == tested | {"line.py", "line_python_api.py", "bimodal.py", "dynesty_pool.py"}

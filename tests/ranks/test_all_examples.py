"""Each example on one rank and on three: the same draws, and a posterior that is the right one."""

import re
import shutil
import subprocess

import h5py
import numpy as np
import pytest

import pmcmc
from conftest import ROOT, missing
from reference import assert_same_draws

EXAMPLES = ROOT / "examples"
# steps of a short run, and what plain emcee finds with another start, seed and mixture of moves
# (external, shared_data and supernovae: a sum over a grid): mean, sd, and the error of that mean
KNOWN = {
    "eight_schools": (
        6000,
        1000,
        {
            "mu": (4.3424, 3.402, 0.035),
            "tau": (4.76, 3.692, 0.038),
            "eta[0]": (0.40869, 0.9707, 0.01),
            "eta[1]": (0.12056, 0.9125, 0.0095),
            "eta[2]": (-0.11699, 0.944, 0.0098),
            "eta[3]": (0.071351, 0.9131, 0.0095),
            "eta[4]": (-0.19238, 0.8967, 0.0093),
            "eta[5]": (-0.076895, 0.9149, 0.0095),
            "eta[6]": (0.4236, 0.93, 0.0096),
            "eta[7]": (0.10305, 0.9529, 0.0099),
        },
    ),
    "supernovae": (
        2000,
        400,
        {
            "Omega_m": (0.304677, 0.01280, 4e-06),
            "offset": (43.098678, 0.008149, 3e-06),
            "log_scatter": (-3.33345, 0.6368, 0.0002),
        },
    ),
    "gaussian_process": (
        2000,
        400,
        {
            "log_amplitude": (0.1844, 0.4165, 0.0035),
            "log_length": (0.39561, 0.1957, 0.0017),
            "log_noise": (-1.9815, 0.1283, 0.0011),
            "slope": (0.33045, 0.1213, 0.001),
        },
    ),
    "rv_orbit": (
        3200,
        1000,
        {
            "period": (41.26, 0.05095, 0.00032),
            "K": (26.993, 0.5279, 0.0033),
            "h": (0.28896, 0.03554, 0.00023),
            "k": (0.48376, 0.02309, 0.00015),
            "M0": (0.65628, 0.06192, 0.0004),
            "offset": (-3.7017, 0.3649, 0.0023),
            "log_jitter": (-0.58608, 0.6859, 0.0044),
        },
    ),
    "external/model": (
        800,
        250,
        {
            "a": (114.538, 5.945, 0.002),
            "lifetime": (9.9971, 1.272, 0.0005),
            "background": (9.4281, 3.543, 0.002),
        },
    ),
    "shared_data": (
        600,
        150,
        {
            "mean": (7.3490962, 0.0007542, 2e-07),
            "spread": (0.11911413, 0.0008117, 2e-07),
        },
    ),
    "transits_mpi": (
        400,
        100,
        {
            "k": (0.10015, 0.0001047, 1.3e-06),
            "duration": (0.15002, 0.0002247, 2.9e-06),
            "first": (-3.0811e-05, 0.0001555, 2e-06),
            "period": (3.50000806, 5.536e-05, 7.1e-07),
        },
    ),
    "lotka_volterra": (
        1500,
        400,
        {
            "alpha": (0.59761, 0.0452, 0.00076),
            "beta": (0.033127, 0.003407, 5.7e-05),
            "gamma": (0.7668, 0.05436, 0.00091),
            "delta": (0.024035, 0.002155, 3.6e-05),
            "log_sigma": (-1.7045, 0.1144, 0.0019),
        },
    ),
}


def run(launch, folder, ranks, model, *more):
    if model == "transits_mpi.py":
        more = (*more, "--ranks-per-evaluation", max(1, ranks))
    args = ["--seed", 1, "--no-progress", "--output", f"{ranks}.h5", *more]
    done = launch(ranks, "-m", "pmcmc", EXAMPLES / model, *args, cwd=folder, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    return done, folder / f"{ranks}.h5"


def built(model, config):
    if model == "external/model.py":
        if shutil.which("cc") is None or shutil.which("make") is None:
            missing(config, "no C compiler, or no make")
        subprocess.run(["make", "-C", EXAMPLES / "external"], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_the_same_draws_on_one_rank_and_on_three(launch, pytestconfig, tmp_path, name):
    steps, burnin, _ = KNOWN[name]
    built(f"{name}.py", pytestconfig)
    # a search for the start that costs seconds is made once
    nensembles = 1 if name == "transits_mpi" else 2
    args = ["--nsteps", steps // 50, "--burnin", burnin // 25, "--nensembles", nensembles]
    files = [run(launch, tmp_path, ranks, f"{name}.py", *args)[1] for ranks in (0, 3)]
    assert_same_draws(*files)


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_the_posterior_is_the_right_one(launch, pytestconfig, tmp_path, name):
    steps, burnin, known = KNOWN[name]
    built(f"{name}.py", pytestconfig)
    args = ["--nsteps", steps, "--burnin", burnin, "--nensembles", 2]
    _, file = run(launch, tmp_path, 3, f"{name}.py", *args)
    rows = {row.name: row for row in pmcmc.load(file).summary().rows}
    assert list(rows) == list(known)
    for parameter, (mean, sd, error) in known.items():
        row = rows[parameter]
        assert abs(row.mean - mean) < 4.5 * np.hypot(row.mcse, error), parameter
        assert row.sd == pytest.approx(sd, rel=0.25), parameter


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

"""The sampler as a whole leaves the posterior as it is, by every move and in every layout.

Walkers that start as exact draws of the posterior must still be exact draws after any number of
steps (as Gandy & Scott 2020, arXiv:2001.06465, test transitions): no burn-in, no convergence, no
autocorrelation comes in. Ensembles are independent, so the mean over walkers of a function, one
value for each ensemble, gives a z of its known expectation. Draws must also be plain emcee's.

``LIMIT``: of the 13 figures of a test one exceeds it by chance in 2e-5 of tests with new seeds
(Student's t with 143 degrees of freedom; with 31 in 3e-4). Seeds are fixed: a pass stays a pass.
Every kind of break below was seen to be caught.
"""

import emcee
import numpy as np
import pytest

import pmcmc
from pmcmc.pool import dispatch
from pmcmc.sampler import ensemble
from reference import plain_emcee, streams
from wrong_moves import WrongFactor

LIMIT = 5.0
ENSEMBLES, W, STEPS, SEED = 144, 12, 16, 11
COV = np.array([[1.0, 0.6, 0.0], [0.6, 2.0, -0.4], [0.0, -0.4, 0.5]])
MEAN = np.array([1.0, -2.0, 0.5])
INVERSE = np.linalg.inv(COV)
SIZES = {"nsteps": ENSEMBLES * STEPS, "nensembles": ENSEMBLES, "nwalkers": W, "burnin": 0}

MODEL = f"""
import numpy as np
parameters = ["a", "b", "c"]
MEAN, COV = np.array({MEAN.tolist()}), np.array({COV.tolist()})
INVERSE = np.linalg.inv(COV)
def log_prob(theta):
    return -0.5 * (theta - MEAN) @ INVERSE @ (theta - MEAN)
def initial(nwalkers, rng):
    return rng.multivariate_normal(MEAN, COV, size=nwalkers)
"""
space: dict = {}
exec(MODEL, space)


def figures(result):
    """Return z of means, second moments and log_prob after the last step."""
    x = result.get_chain()[:, -1] - MEAN  # (ensemble, walker, ndim)
    values = [x[..., i] for i in range(3)]
    values += [x[..., i] * x[..., j] - COV[i, j] for i in range(3) for j in range(i, 3)]
    log_prob = result.get_log_prob()[:, -1] + 1.5
    values += [log_prob, log_prob**2 - 1.5, np.cos(x[..., 0]) - np.exp(-0.5), x[..., 2] ** 3]
    each = np.array([v.mean(axis=1) for v in values])  # (figure, ensemble)
    return each.mean(axis=1) / (each.std(axis=1, ddof=1) / np.sqrt(each.shape[1]))


def assert_exact(result):
    assert len(np.unique(result.get_chain()[:, -1, 0, 0])) == result.nensembles
    z = figures(result)
    assert np.abs(z).max() < LIMIT, z


def assert_plain(result, moves):
    """Check some ensembles against plain emcee."""
    for e in (0, 20, result.nensembles - 1):
        rng, state = streams(SEED, e)
        sampler = plain_emcee(
            space["log_prob"], space["initial"](W, rng), state, STEPS, burnin=0, moves=moves
        )
        np.testing.assert_array_equal(result.get_chain()[e], sampler.get_chain())
        np.testing.assert_array_equal(result.get_log_prob()[e], sampler.get_log_prob())


def sample(moves, **options):
    problem = pmcmc.Problem(space["log_prob"], ["a", "b", "c"], initial=space["initial"])
    return pmcmc.run(problem, seed=SEED, moves=moves, **SIZES | options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("stretch", emcee.moves.StretchMove),
        ("walk", emcee.moves.WalkMove),
        ("de", emcee.moves.DEMove),
        ("desnooker", None),
        ("kde", emcee.moves.KDEMove),
        ("auto", None),
    ],
)
def test_every_move_leaves_the_posterior_as_it_is(name, plain):
    n = {"walk": 48, "kde": 32}.get(name, ENSEMBLES)  # slow moves
    few = {"nensembles": n, "nsteps": n * STEPS}
    result = sample(name, **few)
    assert_exact(result)
    if plain is not None:
        assert_plain(result, plain())


@pytest.mark.slow
def test_emcee_s_own_snooker_move_does_not():
    with pytest.raises(AssertionError):
        assert_exact(sample([emcee.moves.DESnookerMove()]))


SHAPES = {
    "static": (3, "--mode pool --schedule static"),
    "demand teams": (4, "--teams 2 --schedule demand"),
}


def run(launch, tmp_path, model, ranks, *more, trouble=""):
    model(MODEL)
    (tmp_path / "script.py").write_text(
        f"import sys\n{trouble}\nfrom pmcmc.__main__ import main\nsys.exit(main())\n"
    )
    args = [f"--{k}={v}" for k, v in SIZES.items()] + [f"--seed={SEED}"]
    args += ["--output=x.h5", "--moves=stretch", *more]
    return launch(ranks, "script.py", "run", "model.py", *args, cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_every_layout_leaves_the_posterior_as_it_is(launch, tmp_path, model, shape):
    ranks, mode = SHAPES[shape]
    done = run(launch, tmp_path, model, ranks, *mode.split())
    assert done.returncode == 0, done
    result = pmcmc.load(tmp_path / "x.h5")
    assert_exact(result)
    assert_plain(result, emcee.moves.StretchMove())


def stop_and_go_on(path):
    """Run in two parts, the first stopped in the middle."""
    stop = {"after": ENSEMBLES * W * (STEPS // 2)}

    def log_prob(theta):
        stop["after"] -= 1
        if stop["after"] == 0:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)
        return space["log_prob"](theta)

    problem = pmcmc.Problem(log_prob, ["a", "b", "c"], initial=space["initial"])
    options = {"seed": SEED, "output": path, "moves": "stretch", **SIZES}
    half = pmcmc.run(problem, **options)
    assert half.status == "stopped"
    assert 0 < half.steps[0] < STEPS
    return pmcmc.run(problem, resume=True, **options)


@pytest.mark.slow
def test_a_resume_in_the_middle_leaves_the_posterior_as_it_is(tmp_path):
    result = stop_and_go_on(tmp_path / "x.h5")
    assert result.status == "finished"
    assert_exact(result)
    assert_plain(result, emcee.moves.StretchMove())


# ---- samplers that are broken on purpose


@pytest.mark.slow
def test_a_wrong_acceptance_factor_is_caught():
    with pytest.raises(AssertionError):
        assert_exact(sample([WrongFactor()]))


@pytest.mark.slow
def test_a_shared_random_stream_is_caught(monkeypatch):
    real = ensemble.streams
    monkeypatch.setattr(ensemble, "streams", lambda seed, e: real(seed, 0))
    with pytest.raises(AssertionError):
        assert_exact(sample("stretch"))


@pytest.mark.slow
def test_a_step_dropped_at_resume_is_caught(tmp_path, monkeypatch):
    set_out, record = ensemble.Ensemble._set_out, ensemble.Ensemble._record
    to_drop = set()

    def set_out_and_drop(self, *state):
        if self.steps:  # at a resume
            to_drop.add(self)
            self.target += 1
        set_out(self, *state)
        self.target -= self in to_drop

    def drop(self, state, accepted):
        if self in to_drop:
            to_drop.remove(self)
        else:
            record(self, state, accepted)

    monkeypatch.setattr(ensemble.Ensemble, "_set_out", set_out_and_drop)
    monkeypatch.setattr(ensemble.Ensemble, "_record", drop)
    result = stop_and_go_on(tmp_path / "x.h5")
    with pytest.raises(AssertionError):
        assert_plain(result, emcee.moves.StretchMove())


SWAP = """
from pmcmc.pool import tasks
real = tasks.Batch.ordered
def ordered(self):
    parts = [p[0] if isinstance(p, tuple) else p for p in real(self)]
    if len(parts) > 1:
        parts[0], parts[-1] = parts[0].copy(), parts[-1].copy()
        parts[0][0], parts[-1][0] = parts[-1][0], parts[0][0]
    return parts
tasks.Batch.ordered = ordered
"""


@pytest.mark.slow
def test_results_swapped_in_the_pool_are_caught(launch, tmp_path, model):
    assert hasattr(dispatch.Batch, "ordered")
    done = run(launch, tmp_path, model, 2, "--mode=pool", "--schedule=static", trouble=SWAP)
    assert done.returncode == 0, done
    result = pmcmc.load(tmp_path / "x.h5")
    with pytest.raises(AssertionError):
        assert_exact(result)
    with pytest.raises(AssertionError):
        assert_plain(result, emcee.moves.StretchMove())

"""Where the ranks go never changes the draws, and they are plain emcee's, bit for bit."""

from concurrent.futures import ThreadPoolExecutor

import emcee
import numpy as np
import pytest

from conftest import slow_but
from pmcmc.sampler.moves import SnookerMove
from reference import (
    assert_same_as_plain,
    assert_same_files,
    default_moves,
    plain_emcee,
    shares,
    streams,
)

# blobs, a start of its own, thinning and weighted moves at once
BLOBS = """
import numpy as np
names = parameters = ["a", "b", "c"]
blobs_dtype = [("r", float), ("n", int), ("tag", "S4"), ("v", float, (2,))]
A = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 0.5]])
def log_prob(theta):
    if theta[0] > 2.5:
        return -np.inf, 0.0, 0, b"out", [0.0, 0.0]
    r = float(theta @ theta)
    return -0.5 * theta @ A @ theta, r, int(10 * r), b"in", theta[:2]
def initial(nwalkers, rng):
    return np.minimum(rng.normal(size=(nwalkers, 3)), 2.0)
"""
# plain blobs: float64, one of them an integer at first
FLOATS = """
import numpy as np
parameters = ["a", "b"]
def log_prob(theta):
    return -0.5 * (theta**2).sum(), int(0), theta[0] / 3
initial = np.random.default_rng(3).normal(size=(10, 2))
"""
VECTORIZED = """
import numpy as np
from pmcmc import stats
parameters = {"a": stats.norm(0, 2), "b": stats.uniform(-1, 3), "c": stats.loguniform(0.1, 10)}
vectorized = True
def log_likelihood(theta):
    return -0.5 * (theta[:, 0] - theta[:, 1]) ** 2 - theta[:, 2]
initial = "prior"
"""
ARGS = {
    "blobs": "--nsteps 27 --burnin 6 --nensembles 4 --nwalkers 14 --thin-by 3 --moves "
    "de:0.6,stretch:0.3,walk:0.1",
    "floats": "--nsteps 27 --burnin 0 --nensembles 4",
    "vectorized": "--nsteps 27 --burnin 5 --nensembles 4 --nwalkers 16 --moves de,desnooker",
}
TEXTS = {"blobs": BLOBS, "floats": FLOATS, "vectorized": VECTORIZED}
SHAPES = {
    "split": "--mode split",
    "pool": "--mode pool",
    "teams": "--teams 2",
    "static": "--mode pool --schedule static",
    "demand": "--mode pool --schedule demand",
    "demand teams": "--teams 2 --schedule demand",
}


def plain(kind):
    """Return the plain samplers that a model's file must equal."""
    space: dict = {}
    exec(TEXTS[kind], space)
    samplers = []
    for e, steps in enumerate(shares(27, 4)):
        rng, state = streams(5, e)
        if kind == "blobs":
            moves = [
                (emcee.moves.DEMove(), 0.6),
                (emcee.moves.StretchMove(), 0.3),
                (emcee.moves.WalkMove(), 0.1),
            ]
            p0, log_prob = space["initial"](14, rng), space["log_prob"]
            options = {
                "burnin": 6,
                "thin_by": 3,
                "moves": moves,
                "blobs_dtype": space["blobs_dtype"],
            }
        elif kind == "floats":
            p0, log_prob = space["initial"], space["log_prob"]
            options = {"burnin": 0, "blobs_dtype": float, "moves": default_moves()}
        else:
            priors = space["parameters"].values()
            p0 = np.stack([p.rvs(size=16, random_state=rng) for p in priors], axis=1)

            def log_prob(theta, priors=priors):
                total = sum(p.logpdf(theta[:, i]) for i, p in enumerate(priors))
                ok = total > -np.inf
                total[ok] += space["log_likelihood"](theta[ok])
                return total

            moves = [(emcee.moves.DEMove(), 1.0), (SnookerMove(), 1.0)]
            options = {"burnin": 5, "moves": moves, "vectorize": True}
        samplers.append(plain_emcee(log_prob, p0, state, steps, **options))
    return samplers


def sample(launcher, ranks, tmp_path, model, kind, shape, name):
    file = model(TEXTS[kind])
    args = f"-m pmcmc {file} --seed 5 {ARGS[kind]} {SHAPES[shape]} --output {name}"
    done = launcher(ranks, *args.split(), cwd=tmp_path)
    assert done.returncode == 0, done
    return tmp_path / name


LAYOUTS = [(ranks, shape) for ranks in (1, 2, 3) for shape in ("split", "pool", "teams")]
LAYOUTS += [(2, "demand"), (3, "static"), (3, "demand"), (5, "demand teams"), (9, "demand")]
QUICK = [(1, "split"), (2, "pool"), (3, "teams"), (5, "demand teams")]


@pytest.mark.parametrize(
    ("ranks", "shape"),
    slow_but(QUICK, LAYOUTS),
)
def test_mpich_draws_equal_plain_emcee(launch, tmp_path, model, ranks, shape):
    path = sample(launch, ranks, tmp_path, model, "blobs", shape, "x.h5")
    assert_same_as_plain(path, plain("blobs"))


@pytest.mark.slow
def test_pools_beside_each_other_go_on(launch, tmp_path, model):
    """Fifteen ranks of quick tasks on few cores: none starves. A row of sched_yield made some."""
    model(TEXTS["blobs"])
    args = f"{ARGS['blobs']} --nsteps 90 {SHAPES['pool']} --seed 5".split()
    with ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(
                launch, 5, "-m", "pmcmc", "model.py", *args, "--output", f"{i}.h5", cwd=tmp_path
            )
            for i in range(3)
        ]
    for job in jobs:
        assert job.result().returncode == 0, job.result()


@pytest.mark.parametrize("kind", [pytest.param("floats", marks=pytest.mark.slow), "vectorized"])
def test_other_kinds_of_problem(launch, tmp_path, model, kind):
    one = sample(launch, 0, tmp_path, model, kind, "split", "one.h5")
    if kind == "floats":  # priors in closed form may differ in the last bit from scipy's
        assert_same_as_plain(one, plain(kind))
    else:
        assert_close_to_plain(one, plain(kind))
    for shape in ("pool", "teams") if kind == "floats" else ("teams",):
        other = sample(launch, 3, tmp_path, model, kind, shape, f"{shape}.h5")
        assert_same_files(one, other)


def assert_close_to_plain(path, samplers):
    import h5py

    with h5py.File(path) as file:
        for e, sampler in enumerate(samplers):
            group = file[f"ensembles/{e:04d}"]
            np.testing.assert_allclose(group["chain"][...], sampler.get_chain(), rtol=1e-9)
            np.testing.assert_array_equal(group["accepted"][...], sampler.backend.accepted)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ranks", "shape"), [(1, "split"), (2, "pool"), (3, "teams"), (3, "demand"), (5, "split")]
)
def test_open_mpi_draws_equal_plain_emcee(launch_openmpi, tmp_path, model, ranks, shape):
    path = sample(launch_openmpi, ranks, tmp_path, model, "blobs", shape, "x.h5")
    assert_same_as_plain(path, plain("blobs"))


@pytest.mark.slow
def test_draws_do_not_depend_on_commits(launch, tmp_path, model):
    one = sample(launch, 2, tmp_path, model, "blobs", "split", "one.h5")
    SHAPES["often"] = "--teams 2 --checkpoint 0.0001"
    assert_same_files(one, sample(launch, 3, tmp_path, model, "blobs", "often", "often.h5"))


@pytest.mark.slow
def test_map_start_is_the_same_in_every_shape_and_each_ensemble_has_its_own(
    launch, tmp_path, model
):
    name = model(
        """
from scipy import stats
parameters = {"a": stats.norm(0, 10), "b": stats.halfnorm(0, 5)}
def log_likelihood(theta):
    a, b = theta
    return -0.5 * ((a - 3) / 0.1) ** 2 - 0.5 * ((b - a) / 0.5) ** 2
"""
    )
    args = f"-m pmcmc {name} --seed 5 --nsteps 30 --burnin 1 --nensembles 3 --output"
    for ranks, shape in ((0, "split"), (3, "pool"), (2, "split")):
        done = launch(ranks, *args.split(), f"{ranks}.h5", "--mode", shape, cwd=tmp_path)
        assert done.returncode == 0, done
        assert_same_files(tmp_path / "0.h5", tmp_path / f"{ranks}.h5")
    import pmcmc

    burnin = pmcmc.load(tmp_path / "0.h5").get_burnin()
    assert len(np.unique(burnin[:, 0, 0, 0])) == 3
    # a ball of the local width round the maximum, not the prior
    np.testing.assert_allclose(burnin[..., 0].mean(), 3, atol=0.1)
    assert burnin[..., 0].std() < 0.3


SLOW = """
import time
import numpy as np
parameters, initial = ["a", "b"], [0.0, 0.0]
def log_prob(theta):
    time.sleep(abs(theta[0]) % 0.004)
    return -0.5 * float(theta @ theta)
"""


@pytest.mark.slow
def test_uneven_sleeping_cost_chooses_demand_and_changes_nothing(launch, tmp_path, model):
    name = model(SLOW)
    args = f"-m pmcmc {name} --seed 5 --nsteps 24 --burnin 3 --nensembles 3 --nwalkers 8"
    files = []
    for ranks, more in ((0, ""), (4, "--mode pool"), (4, "--mode pool --schedule static")):
        files.append(tmp_path / f"{len(files)}.h5")
        command = [*args.split(), *more.split(), "--output", files[-1]]
        assert launch(ranks, *command, cwd=tmp_path).returncode == 0
        assert_same_files(files[0], files[-1])


# the helper thread gives way at each look at a batch, so that the root ends others meanwhile
GIVES_WAY = """
import sys, time
from pmcmc.pool.tasks import Batch
done = Batch.done.fget
def slow(self):
    answer = done(self)
    time.sleep(2e-4)
    return answer
Batch.done = property(slow)
from pmcmc.__main__ import main
sys.exit(main())
"""


ON_ONE_CORE = """
import os, runpy
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
runpy.run_module("pmcmc", run_name="__main__", alter_sys=True)
"""


def test_ranks_that_share_cores_form_more_teams(launch, tmp_path, model):
    """Eight on one: where each had its own, two teams or one would do."""
    text = "import time\nndim, initial = 2, [0, 0]\ndef log_prob(theta):\n    time.sleep(1e-3)\n"
    args = [model(text + "    return -theta @ theta\n"), "--dry-run"]
    done = launch(8, "-c", ON_ONE_CORE, *args, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done
    assert "8 (teams): 4 teams of 2 ranks" in done.stdout


def test_a_batch_that_ends_between_two_looks_is_not_forgotten(launch, tmp_path, model):
    (tmp_path / "script.py").write_text(GIVES_WAY)
    args = f"run {model(FLOATS)} --seed 5 {ARGS['floats']} --mode pool --schedule demand"
    command = ["script.py", *args.split(), "--output", "x.h5"]
    assert launch(2, *command, cwd=tmp_path, timeout=60).returncode == 0
    assert_same_as_plain(tmp_path / "x.h5", plain("floats"))


@pytest.mark.slow
def test_with_a_low_thread_level_the_root_only_dispatches_and_says_so(launch, tmp_path, model):
    args = f"-m pmcmc {model(FLOATS)} --seed 5 {ARGS['floats']} --mode pool --schedule"
    low = {"MPI4PY_RC_THREAD_LEVEL": "funneled"}
    for schedule in ("demand", "static"):
        command = [*args.split(), schedule, "--output", f"{schedule}.h5"]
        done = launch(3, *command, cwd=tmp_path, env=low)
        assert done.returncode == 0, done
        assert ("evaluates nothing itself" in done.stdout) == (schedule == "demand")
        assert_same_as_plain(tmp_path / f"{schedule}.h5", plain("floats"))

"""The Python interface under mpiexec: collective runs, functions that only rank 0 has, results."""

import numpy as np
import pytest

import pmcmc
from conftest import slow_but

HEAD = """
import sys
import numpy as np, pmcmc
from mpi4py import MPI
def say(*words): sys.stdout.write(" ".join(map(str, words)) + "\\n")  # in one piece
rank = MPI.COMM_WORLD.rank
"""


def script(launch, tmp_path, text, ranks=3):
    (tmp_path / "script.py").write_text(HEAD + text)
    done = launch(ranks, "script.py", cwd=tmp_path)
    assert done.returncode == 0, done
    return done.stdout


def test_public_names_are_all_there():
    assert sorted(pmcmc.__all__) == pmcmc.__all__
    for name in pmcmc.__all__:
        assert getattr(pmcmc, name) is not None
    assert not hasattr(pmcmc, "nothing")


def test_with_an_output_every_rank_gets_the_result(launch, tmp_path):
    out = script(
        launch,
        tmp_path,
        """
p = pmcmc.Problem(lambda t, s: -0.5 * float(t @ t) / s, ["a", "b"], initial=[0, 0], args=(2.0,))
r = pmcmc.run(p, nsteps=30, nwalkers=8, mode="split", seed=1, output="x.h5", burnin=5)
say(r.get_chain().shape, r.nsteps, r.status, r.seed)
""",
    )
    assert out.splitlines() == ["(3, 10, 8, 2) 30 finished 1"] * 3


def test_without_an_output_rank_0_has_the_draws(launch, tmp_path):
    out = script(
        launch,
        tmp_path,
        """
p = pmcmc.Problem(lambda t: -0.5 * float(t @ t), ["a", "b"], initial=[0, 0])
r = pmcmc.run(p, nsteps=30, nwalkers=8, seed=1, burnin=5)
say(None if r is None else r.get_chain(flat=True).shape)
""",
    )
    assert sorted(out.splitlines()) == ["(240, 2)", "None", "None"]
    assert not list(tmp_path.glob("*.h5"))


@pytest.mark.parametrize("mode", slow_but(["pool"], ["split", "pool"]))
def test_a_function_on_rank_0_alone_reaches_the_others(launch, tmp_path, mode):
    text = """
problem = None
if rank == 0:
    data = np.arange(5.0)
    scale = 3.0
    def make():
        return lambda t: -0.5 * float(((data[2] - t) ** 2).sum()) / scale
    problem = pmcmc.Problem(make(), ["a", "b"], initial=[2.0, 2.0])
r = pmcmc.run(problem, nsteps=60, nensembles=3, nwalkers=8, seed=1, burnin=5, mode="{}")
if rank == 0:
    print(repr(float(r.get_chain().sum())))
"""
    many = script(launch, tmp_path, text.format(mode))
    assert many == script(launch, tmp_path, text.format(mode), ranks=0)


def test_problem_of_the_wrong_kind_is_refused():
    with pytest.raises(pmcmc.UsageError, match=r"expected a pmcmc\.Problem, got function"):
        pmcmc.run(lambda t: 0.0)
    with pytest.raises(pmcmc.UsageError, match=r"no option nstep .did you mean nsteps"):
        pmcmc.run(pmcmc.Problem(lambda t: 0.0, ndim=1, initial=[0.0]), nstep=3)


def test_run_twice_in_one_process_gives_the_same_draws():
    problem = pmcmc.Problem(lambda t: -0.5 * float(t @ t), ndim=2, initial=[0.0, 0.0])
    a = pmcmc.run(problem, nsteps=40, burnin=2, seed=3, nwalkers=8)
    b = pmcmc.run(problem, nsteps=40, burnin=2, seed=3, nwalkers=8)
    np.testing.assert_array_equal(a.get_chain(), b.get_chain())
    assert not np.array_equal(
        a.get_chain(), pmcmc.run(problem, nsteps=40, burnin=2, seed=4, nwalkers=8).get_chain()
    )


def test_run_leaves_the_global_random_state_alone():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    problem = pmcmc.Problem(lambda t: -0.5 * float(t @ t), ndim=2, initial=[0.0, 0.0])
    pmcmc.run(problem, nsteps=20, burnin=2, seed=3, nwalkers=8)
    np.testing.assert_array_equal(np.random.get_state()[1], before)

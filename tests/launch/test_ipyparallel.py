"""Inside ipyparallel: engines started with MPI run pmcmc together, as the article's did."""

import os
import time

import ipyparallel
import numpy as np
import pytest
from processes import started, wait_until_gone

import pmcmc
from conftest import clean_env

PROBLEM = """
import pmcmc
def log_prob(theta):
    return -0.5 * float(theta @ theta)
problem = pmcmc.Problem(log_prob, ["a", "b"], initial=[0.0, 0.0], name="problem")
"""
RUN = {"nsteps": 240, "burnin": 5, "nensembles": 6, "nwalkers": 8, "seed": 1}


@pytest.fixture(scope="module")
def view(launch, tmp_path_factory):
    """Return a view of two engines."""
    folder = tmp_path_factory.mktemp("engines")
    home = tmp_path_factory.mktemp("home")
    before, kept = started(), dict(os.environ)
    os.environ.update(clean_env() | {"IPYTHONDIR": str(home)})
    os.environ["PATH"] = f"{os.path.dirname(launch.mpiexec)}:{os.environ['PATH']}"
    cluster = ipyparallel.Cluster(
        engines="mpi", n=2, log_level=40, profile_dir=str(home / "profile")
    )
    client = cluster.start_and_connect_sync()
    view = client[:]
    view.execute(f"import os; os.chdir({str(folder)!r})", block=True)
    view.execute(PROBLEM, block=True)
    view.push({"RUN": RUN}, block=True)
    yield view
    client.close()
    cluster.stop_cluster_sync()
    os.environ.clear()
    os.environ.update(kept)
    wait_until_gone(started() - before, 20)


@pytest.mark.slow
def test_a_run_on_all_engines(view):
    view.execute("result = pmcmc.run(problem, output='px.h5', **RUN)", block=True)
    view.execute("status, chain = result.status, result.get_chain()", block=True)
    assert view.pull("status", block=True) == ["finished"] * 2
    chain = view.pull("chain", targets=0, block=True)
    here: dict = {}
    exec(PROBLEM, here)
    np.testing.assert_array_equal(chain, pmcmc.run(here["problem"], **RUN).get_chain())


@pytest.mark.slow
def test_pools_on_the_engines_one_after_another(view):
    for k in range(2):
        view.execute(
            "from pmcmc import MPIPool\n"
            "with MPIPool() as pool:\n"
            "    if pool.is_master():\n"
            f"        out = pool.map(abs, [-1, {k}])\n",
            block=True,
        )
        assert view.pull("out", targets=0, block=True) == [1, k]
    view.execute("result = pmcmc.run(problem, **RUN)", block=True)  # and the ranks are free
    with pytest.raises(ipyparallel.error.CompositeError, match=r"if pool.is_master\(\)"):
        view.execute("with MPIPool() as pool:\n    pool.map(abs, [1])", block=True)


@pytest.mark.slow
def test_an_error_on_an_engine_comes_back(view):
    view.execute(PROBLEM + "problem.posterior.args = (1,)\n", block=True)
    began = time.monotonic()
    with pytest.raises(ipyparallel.error.CompositeError, match="log_prob raised TypeError"):
        view.execute("pmcmc.run(problem, **RUN)", block=True)
    assert time.monotonic() - began < 20
    view.execute(PROBLEM + "result = pmcmc.run(problem, **RUN)", block=True)

"""log_prob(theta, comm): several ranks evaluate together, on real ranks."""

import re
import signal

import numpy as np
import pytest

import pmcmc
from background_job import Job
from conftest import slow_but
from reference import assert_same_draws

HEAD = """
import os, time
import numpy as np
from scipy import stats
import pmcmc
parameters = {"a": stats.norm(0, 1), "b": stats.norm(0, 1)}
initial, nwalkers = "prior", 8
SIGN = (-1) ** np.arange(12)
def log_likelihood(theta, comm):
    rank, size = comm.Get_rank(), comm.Get_size()
"""
SHARES = """
    mine = np.arange(12)[rank::size]
    value = comm.allreduce(float((SIGN[mine] * np.floor(64 * theta[0])).sum()))
    return -0.5 * (value + np.floor(16 * theta[1] ** 2)) / 16 if rank == 0 else "nobody reads it"
"""
ARGS = ["--nsteps", 30, "--burnin", 6, "--seed", 3, "--nensembles", 2, "--no-progress"]


def run(launch, folder, ranks, text, width, output, *more, status=0, **given):
    (folder / "m.py").write_text(HEAD + text)
    width = [] if width is None else ["--ranks-per-evaluation", width]
    line = ["-m", "pmcmc", "m.py", *ARGS, *width, "--output", output, *more]
    done = launch(ranks, *line, cwd=folder, **{"timeout": 90, **given})
    assert status in (None, done.returncode), done.stdout + done.stderr
    return done


SHAPES = {
    "a group of all": (2, 2, []),
    "split": (4, 2, ["--mode", "split"]),
    "pool": (4, 2, ["--mode", "pool", "--schedule", "static"]),
    "demand": (4, 2, ["--mode", "pool", "--schedule", "demand"]),
    "three": (3, 3, []),
    "each alone": (2, 1, ["--mode", "pool"]),
}


@pytest.mark.parametrize("shape", slow_but(["split", "demand"], SHAPES))
def test_the_draws_are_the_same_in_every_layout(launch, tmp_path, shape):
    ranks, width, more = SHAPES[shape]
    run(launch, tmp_path, 0, SHARES, 1, "alone.h5")
    done = run(launch, tmp_path, ranks, SHARES, width, "x.h5", *more)
    assert_same_draws(tmp_path / "x.h5", tmp_path / "alone.h5")
    assert (f"{width} ranks evaluate log_prob together" in done.stdout) == (width > 1)


def test_the_draws_are_the_same_under_open_mpi(launch, launch_openmpi, tmp_path):
    run(launch, tmp_path, 0, SHARES, 1, "alone.h5")
    run(launch_openmpi, tmp_path, 4, SHARES, 2, "x.h5", "--mode", "pool", "--schedule", "demand")
    assert_same_draws(tmp_path / "x.h5", tmp_path / "alone.h5")


@pytest.mark.slow
def test_a_vectorized_function(launch, tmp_path):
    text = HEAD.replace("initial,", "vectorized = True\ninitial,") + (
        "    assert theta.ndim == 2\n"
        "    part = np.floor(theta.T[rank::size] * 64).sum(axis=0) / 64\n"
        "    return -comm.allreduce(part) ** 2\n"
    )
    for ranks, width, name in [(0, 1, "alone.h5"), (2, 2, "x.h5")]:
        (tmp_path / "v.py").write_text(text)
        line = ["-m", "pmcmc", "v.py", *ARGS, "--ranks-per-evaluation", width, "--output", name]
        done = launch(ranks, *line, cwd=tmp_path, timeout=60)
        assert done.returncode == 0, done.stderr
    assert_same_draws(tmp_path / "x.h5", tmp_path / "alone.h5")


@pytest.mark.slow
def test_a_rank_knows_its_team(launch, tmp_path):
    text = "    np.save(f'team-{pmcmc.rank_info().rank}', pmcmc.rank_info().team or 0)\n" + SHARES
    run(launch, tmp_path, 4, text, 2, "x.h5", "--mode", "split", "--nsteps", 4)
    assert [int(np.load(tmp_path / f"team-{rank}.npy")) for rank in range(4)] == [0, 0, 1, 1]


# ---- failures


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize(("who", "ranks"), slow_but([(1, 2)], [(0, 2), (1, 2), (3, 4)]))
def test_a_failure_on_any_rank_ends_the_job(launch, tmp_path, who, ranks, where):
    fails = f"    if pmcmc.rank_info().rank == {who} and theta[0] > 1: raise ValueError('no')\n"
    text = (
        fails + SHARES if where == "before" else SHARES.replace("    return", fails + "    return")
    )
    more = ["--mode", "pool"] if ranks == 4 else []
    done = run(launch, tmp_path, ranks, text, 2, "x.h5", *more, status=1, timeout=40)
    assert f"log_prob raised ValueError: no on rank {who} of {ranks}" in done.stderr
    assert re.search(r"at a = [1-9]\.", done.stderr), done.stderr
    assert "m.py" in done.stderr


CUTS = SHARES.replace("    return", "    if theta[0] > 1: return -np.inf\n    return")
REJECTS = {
    "all ranks": "    if theta[0] > 1: raise ValueError('no')\n" + SHARES,
    "one, after comm": SHARES.replace(
        "    return", "    if rank == 1 and theta[0] > 1: raise ValueError('no')\n    return"
    ),
    "the first, after comm": SHARES.replace(
        "    return", "    if rank == 0 and theta[0] > 1: raise ValueError('no')\n    return"
    ),
    "NaN of the first": SHARES.replace(
        "    return", "    if rank == 0 and theta[0] > 1: return np.nan\n    return"
    ),
    "a message left behind": "    if theta[0] > 1:\n"
    "        comm.isend(1e9, (rank + 1) % size, 5).wait() if rank else None\n"
    "        raise ValueError('no')\n"
    "    if rank == 1: comm.send(0.0, 0, 5)\n"
    "    if rank == 0: theta[0] += comm.recv(tag=5)\n"
    + SHARES.replace("value = ", "value = 0 * "),
}


@pytest.mark.parametrize("what", slow_but(["one, after comm", "a message left behind"], REJECTS))
def test_rejected_where_any_rank_fails(launch, tmp_path, what):
    text = REJECTS[what]
    cut = CUTS.replace("value = ", "value = 0 * ") if "0 * comm" in text else CUTS
    run(launch, tmp_path, 0, cut, 1, "cut.h5")
    run(launch, tmp_path, 2, text, 2, "x.h5", "--on-error", "reject")
    assert_same_draws(tmp_path / "x.h5", tmp_path / "cut.h5")
    told = pmcmc.load(tmp_path / "x.h5").reader.reject_rows()
    assert len(told) > 0
    if "NaN" not in what:
        message = told[0]["message"]
        assert b"ValueError: no (m.py:" in (
            message if isinstance(message, bytes) else message.encode()
        )


def test_a_rank_that_waits_for_one_that_raised_ends_the_job(launch, tmp_path):
    text = "    if rank == 1 and theta[0] > 1: raise ValueError('no')\n" + SHARES
    text += "\nimport pmcmc.pool.together\npmcmc.pool.together._PATIENCE = 3.0\n"
    done = run(launch, tmp_path, 2, text, 2, "x.h5", "--on-error", "reject", status=1, timeout=40)
    assert "another of the 2 ranks that evaluate it together has not come back" in done.stderr
    assert "ValueError: no (m.py:" in done.stderr


# ---- time limits


@pytest.mark.slow
def test_all_ranks_take_too_long(launch, tmp_path):
    text = "    if theta[0] > 1.2: time.sleep(60)\n" + SHARES
    cut = CUTS.replace("> 1:", "> 1.2:")
    short = ["--nsteps", 10, "--burnin", 2]
    run(launch, tmp_path, 0, cut, 1, "cut.h5", *short)
    more = [*short, "--on-error", "reject", "--log-prob-timeout", 0.3]
    run(launch, tmp_path, 2, text, 2, "x.h5", *more)
    assert_same_draws(tmp_path / "x.h5", tmp_path / "cut.h5")


@pytest.mark.parametrize("on_error", slow_but(["reject"], ["abort", "reject"]))
def test_one_rank_hangs(launch, tmp_path, on_error):
    text = "    if rank == 1 and theta[0] > 1: time.sleep(600)\n" + SHARES
    more = ["--on-error", on_error, "--log-prob-timeout", 0.5]
    done = run(launch, tmp_path, 2, text, 2, "x.h5", *more, status=None, timeout=40)
    assert done.returncode not in (0, 75)
    assert "500 ms" in done.stderr


def test_one_rank_hangs_that_nobody_waits_for_in_comm(launch, tmp_path):
    late = SHARES.replace(
        "    return", "    if rank == 1 and theta[0] > 1: time.sleep(60)\n    return"
    )
    short = ["--nsteps", 10, "--burnin", 2]
    run(launch, tmp_path, 0, CUTS, 1, "cut.h5", *short)
    more = [*short, "--on-error", "reject", "--log-prob-timeout", 0.3]
    run(launch, tmp_path, 2, late, 2, "x.h5", *more)
    assert_same_draws(tmp_path / "x.h5", tmp_path / "cut.h5")
    told = pmcmc.load(tmp_path / "x.h5").reader.reject_rows()
    assert "rank 1 of 2" in str(told[0]["message"])


# ---- stops


def stopped(launch, folder, text, ranks, width, *more):
    (folder / "m.py").write_text(HEAD + text)
    args = ["m.py", *map(str, ARGS), "--output", "x.h5", "--ranks-per-evaluation", str(width)]
    args += ["--checkpoint", "0.2", *map(str, more)]
    with Job(launch, ranks, *args, cwd=folder) as job:
        job.until((folder / "begun").exists)
        job.signal(signal.SIGTERM)
        status, said, _ = job.end()
    assert status == 75, said


@pytest.mark.parametrize(("ranks", "width"), slow_but([(2, 2)], [(2, 2), (4, 2), (3, 3)]))
def test_a_stop_and_a_resume_on_another_number_of_ranks(launch, tmp_path, ranks, width):
    slow = "    if os.path.exists('x.h5'): open('begun', 'w'); time.sleep(0.01)\n"
    run(launch, tmp_path, 0, SHARES, 1, "whole.h5")
    stopped(launch, tmp_path, slow + SHARES, ranks, width)
    (tmp_path / "m.py").write_text(HEAD + slow + SHARES)
    line = ["-m", "pmcmc", "m.py", "--resume", "--output", "x.h5", "--no-progress"]
    done = launch(ranks, *line, cwd=tmp_path, timeout=90)  # the width is that of the file
    assert done.returncode == 0, done.stderr
    assert_same_draws(tmp_path / "x.h5", tmp_path / "whole.h5")


@pytest.mark.parametrize("who", slow_but([1], [0, 1]))
def test_a_stop_leaves_a_rank_that_hangs(launch, tmp_path, who):
    hangs = SHARES.replace(
        "    return",
        f"    if rank == {who} and os.path.exists('x.h5'): open('begun', 'w'); time.sleep(600)\n"
        "    return",
    )
    stopped(launch, tmp_path, hangs, 2, 2, "--stop-grace", "1")
    assert pmcmc.load(tmp_path / "x.h5").status == "stopped"


# ---- what is refused


@pytest.mark.parametrize(
    ("text", "ranks", "width", "said"),
    [
        (SHARES, 3, 2, "3 ranks, and --ranks-per-evaluation 2 does not divide that: use 2 or 4"),
        (SHARES, 2, None, "log_likelihood takes comm, the communicator of the ranks"),
        (SHARES, 0, 2, "1 rank, and --ranks-per-evaluation 2"),
    ],
)
def test_refused(launch, tmp_path, text, ranks, width, said):
    done = run(launch, tmp_path, ranks, text, width, "x.h5", status=2)
    assert said in done.stderr
    assert not (tmp_path / "x.h5").exists()


def test_a_function_that_takes_no_comm_is_refused(launch, tmp_path):
    (tmp_path / "m.py").write_text("ndim = 1\ninitial = [0.0]\ndef log_prob(theta): return 0.0\n")
    done = launch(2, "-m", "pmcmc", "m.py", "--ranks-per-evaluation", 2, cwd=tmp_path, timeout=60)
    assert done.returncode == 2
    assert "ranks_per_evaluation is 2, and log_prob takes no comm" in done.stderr
    assert "def log_prob(theta, comm)" in done.stderr


def test_a_failure_of_a_member_at_the_first_point(launch, tmp_path):
    text = "    if rank == 1: raise ValueError('no')\n" + SHARES
    done = run(launch, tmp_path, 2, text, 2, "x.h5", status=1, timeout=40)
    assert "log_prob raised ValueError: no on rank 1 of 2" in done.stderr
    assert "PeerFailed" not in done.stderr


def test_a_problem_is_as_it_was_after_a_run_in_groups():
    def log_prob(theta, comm=None):
        return -0.5 * float(theta @ theta)

    problem = pmcmc.Problem(log_prob, ndim=1, initial=[0.0])
    pmcmc.run(problem, ranks_per_evaluation=1, nsteps=20, burnin=2, nwalkers=4)
    assert problem.log_prob(np.zeros(1)) == 0.0
    pmcmc.run(problem, nsteps=20, burnin=2, nwalkers=4)

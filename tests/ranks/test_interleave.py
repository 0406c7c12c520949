"""Ensembles interleaved on demand: the model's code keeps the main thread, and nothing is left."""

import emcee
import numpy as np
import pytest

import pmcmc
from pmcmc.sampler.ensemble import Ensemble
from reference import assert_same_files

# the model's code, all of it: in the main thread, and one piece of it at a time
ALONE = """
import contextlib, threading, time
import emcee
import numpy as np
busy = []
@contextlib.contextmanager
def alone(seconds=0.0):
    assert threading.current_thread() is threading.main_thread(), "not in the main thread"
    assert not busy, "beside other code of the model"
    busy.append(1)
    time.sleep(seconds)
    yield
    busy.pop()
parameters, nwalkers = ["a", "b"], 8
def log_prob(theta):
    with alone(0.001 * (1 + theta[0] % 2)):
        return -0.5 * float(theta @ theta)
def initial(nwalkers, rng):
    with alone(0.02):
        return rng.normal(size=(nwalkers, 2))
"""
PRIORS = """
from scipy import stats
class Own(stats.rv_continuous):
    def _rvs(self, size=None, random_state=None):
        with alone(0.02):
            return random_state.normal(size=size)
    def _logpdf(self, x): return stats.norm.logpdf(x)
    def _cdf(self, x):
        with alone(0.001):
            return stats.norm.cdf(x)
    def _ppf(self, q):
        with alone(0.001):
            return stats.norm.ppf(q)
own = Own(name="own")
parameters = {"a": own(), "b": own()}
log_likelihood = log_prob
del log_prob
"""
MOVES = {
    "class": """
class Own(emcee.moves.StretchMove):
    def setup(self, coords):
        with alone(): self.seen = coords.copy()
    def get_proposal(self, s, c, random):
        with alone(0.001): return super().get_proposal(s, c, random)
    def update(self, *args):
        with alone(): return super().update(*args)
    def __deepcopy__(self, memo):
        with alone(): return Own()
moves = [(Own(), 0.7), (emcee.moves.DEMove(), 0.3)]
""",
    "function": """
def propose(x, random):
    with alone(0.001):
        return x + 0.5 * random.normal(size=x.shape), np.zeros(len(x))
moves = emcee.moves.MHMove(propose)
""",
}
MODELS = {
    "initial": ALONE,
    "map": ALONE + PRIORS + 'initial = "map"\n',
    **{f"move of its own {what}": ALONE + text for what, text in MOVES.items()},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_the_code_of_a_model_is_alone_in_the_main_thread(launch, tmp_path, model, kind):
    args = f"-m pmcmc {model(MODELS[kind])} --seed 5 --nsteps 12 --burnin 2 --nensembles 4"
    for ranks, shape in ((0, "--mode split"), (3, "--mode pool --schedule demand")):
        command = f"{args} {shape} --nwalkers 8 --output {ranks}.h5".split()
        done = launch(ranks, *command, cwd=tmp_path)
        assert done.returncode == 0, done
    assert_same_files(tmp_path / "0.h5", tmp_path / "3.h5")


FAILS = {
    "initial": """
calls = []
def initial(nwalkers, rng):
    calls.append(1)
    if len(calls) > 2: raise ValueError("the message")
    return rng.normal(size=(nwalkers, 2))
""",
    "move": """
class Own(emcee.moves.StretchMove):
    def get_proposal(self, s, c, random): raise ValueError("the message")
moves = Own()
""",
    "infinity": """
class Own(emcee.moves.StretchMove):
    def get_proposal(self, s, c, random): return s + np.inf, np.zeros(len(s))
moves = Own()
""",
}


@pytest.mark.parametrize("what", FAILS)
def test_a_failure_there_ends_the_job_with_its_message(launch, tmp_path, model, what):
    args = f"-m pmcmc {model(ALONE + FAILS[what])} --seed 5 --nsteps 90 --burnin 2 --nensembles 4"
    command = f"{args} --mode pool --schedule demand --output x.h5".split()
    done = launch(2, *command, cwd=tmp_path, timeout=100)
    assert done.returncode == 1, done
    said = "a walker left for infinity" if what == "infinity" else "ValueError: the message"
    assert done.stderr.count("error: ") == 1, done
    assert said in done.stderr


class Own(emcee.moves.StretchMove):
    pass


def test_a_block_that_is_taken_while_moves_are_copied_is_whole():
    """Burn-in has ended; the ensemble waits for the main thread to go on from there."""
    taken = []

    def in_main(run):
        if not taken and ensemble is not None and ensemble.burnin == 4:
            taken.append(ensemble.take_block())
        return run()

    problem = pmcmc.Problem(lambda t: -0.5 * float(t @ t), ["a", "b"], initial=[0.0, 0.0])
    sizes = {"seed": 1, "nwalkers": 8, "burnin": 9, "nsteps": 5, "thin_by": 1, "settled": False}
    problem.probe()
    ensemble = None
    ensemble = Ensemble(
        0, problem, problem.evaluate, moves=[(Own(), 1.0)], in_main=in_main, **sizes
    )
    for _ in range(5):
        ensemble.advance()
    burnin = ensemble.take_block()
    for _ in range(2):
        ensemble.advance()
    ensemble.settle(4)
    ensemble.advance()
    (block,) = taken
    assert block.steps == burnin.steps == 4
    np.testing.assert_array_equal(block.state.coords, burnin.state.coords)
    np.testing.assert_array_equal(block.state.random_state[1], burnin.state.random_state[1])


# ended in every way, twice; what suspended ensembles hold must be gone each time
AGAIN = """
import gc, os, signal, sys, time, weakref
from pathlib import Path
import emcee, greenlet
import numpy as np
import pmcmc
from mpi4py import MPI
HOW, rank = sys.argv[1], MPI.COMM_WORLD.rank
class Data:
    calls = 0
class Own(emcee.moves.StretchMove):
    def get_proposal(self, s, c, random): return super().get_proposal(s, c, random)
def log_prob(theta, data):
    data.calls += 1
    time.sleep(0.002)
    if data.calls == 300 and rank == (HOW != "failure here"):
        if HOW == "signal": os.kill(os.getpid(), signal.SIGTERM)
        if HOW.startswith("failure"): raise ValueError("the message")
    return -0.5 * float(theta @ theta)
def run(data):
    problem = pmcmc.Problem(
        log_prob, ["a", "b"], initial=lambda n, rng: rng.normal(size=(n, 2)), args=(data,),
        moves=Own() if HOW == "max_time, own move" else None,
    )
    if rank == 0:
        Path("x.h5").unlink(missing_ok=True)
    result = pmcmc.run(
        problem, nsteps=30 if HOW == "end" else 10**6, burnin=2, nensembles=3, nwalkers=8,
        mode="pool", schedule="demand", seed=1, output="x.h5",
        max_time=2 if HOW.startswith("max_time") else None,
    )
    return "stopped" if result is None else result.status
for _ in range(2):
    data = Data()
    gone = weakref.ref(data)
    try:
        status = run(data)
    except pmcmc.PmcmcError as exc:
        status = "failed" if "the message" in str(exc) else str(exc)
    assert status == {"end": "finished", "max_time": "stopped", "signal": "stopped"}.get(
        HOW.partition(",")[0], "failed"), status
    del data
    gc.collect()
    assert gone() is None, gc.get_referrers(gone())
    left = [g for g in gc.get_objects() if isinstance(g, greenlet.greenlet)]
    assert left in ([], [greenlet.getcurrent()]), left
sys.stdout.write("fine\\n")  # at once: ranks share the line
"""
ENDS = ["end", "max_time", "max_time, own move", "signal", "failure here", "failure elsewhere"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "level"), [*((how, None) for how in ENDS), ("max_time", "funneled")]
)
def test_nothing_is_left_of_an_ended_run(launch, tmp_path, how, level):
    (tmp_path / "script.py").write_text(AGAIN)
    env = {"MPI4PY_RC_THREAD_LEVEL": level}
    done = launch(2, "script.py", how, cwd=tmp_path, timeout=100, env=env)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "fine\nfine\n"), done

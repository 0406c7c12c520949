"""pmcmc.MPIPool in place of schwimmbad's: every pattern of its documentation, and failures."""

import time

import numpy as np
import pytest

from conftest import slow_but


@pytest.fixture
def script(launch, tmp_path):
    """Run a script that uses the pool, and return the finished process."""

    def run(ranks, text, timeout=60, env=None):
        (tmp_path / "script.py").write_text("import sys\n" + text)
        return launch(ranks, "script.py", cwd=tmp_path, timeout=timeout, env=env)

    return run


def passed(done, *lines):
    assert done.returncode == 0, done
    assert done.stdout.splitlines() == list(lines)
    assert done.stderr == ""


WORKER = """
from pmcmc import MPIPool
def worker(task):
    a, b = task
    return a**2 + b**2
"""
DEMO = {
    "is_master test": """
pool = MPIPool()
if not pool.is_master():
    pool.wait()
    sys.exit(0)
""",
    "with block and test": """
with MPIPool() as pool:
    if not pool.is_master():
        pool.wait()
        sys.exit(0)
""",
    "with block alone": """
with MPIPool() as pool:
""",
    "wait with a callback": """
pool = MPIPool(use_dill=True)
pool.wait(lambda: sys.exit(0))
""",
    "without close": """
pool = MPIPool()
""",
    "a communicator": """
from mpi4py import MPI
pool = MPIPool(comm=MPI.COMM_WORLD)
""",
}


PATTERNS = [(pattern, 3) for pattern in DEMO] + [("is_master test", 1)]


QUICK = [("is_master test", 3), ("with block alone", 3), ("wait with a callback", 3), PATTERNS[-1]]


@pytest.mark.parametrize(("pattern", "ranks"), slow_but(QUICK, PATTERNS))
def test_patterns_of_the_documentation(script, pattern, ranks):
    inside = "    " if "with block" in pattern else ""
    body = ["tasks = list(zip(range(300), range(300)[::-1]))", "results = pool.map(worker, tasks)"]
    body += ["assert results == [worker(t) for t in tasks]", "assert len(results) == 300"]
    body += ["assert pool.is_master() and not pool.is_worker() and pool.rank == 0"]
    if "without" not in pattern and not inside:
        body += ["pool.close()"]
    text = WORKER + DEMO[pattern] + "".join(f"{inside}{line}\n" for line in body)
    passed(script(ranks, text + "print('fine')"), "fine")


@pytest.mark.parametrize("ranks", [1, 3])
def test_callback_batched_map_generators_and_order(script, ranks):
    text = """
from pmcmc import MPIPool
import numpy as np
def double(x): return 2 * x
def batch(tasks):
    (start, stop), values = tasks
    return [2 * v for v in values]
with MPIPool() as pool:
    seen = []
    out = pool.map(double, (i for i in range(50)), callback=seen.append)
    assert out == [2 * i for i in range(50)] and sorted(seen) == out, (out, seen)
    assert pool.map(double, (1, 2.5, "ab")) == [2, 5.0, "abab"]
    assert pool.map(double, []) == []
    assert pool.map(double, [np.float64(1.5)])[0].dtype == np.float64
    rows = [np.arange(3.0) + i for i in range(7)]
    assert all((a == 2 * b).all() for a, b in zip(pool.map(double, rows), rows))
    total = [v for part in pool.batched_map(batch, range(20)) for v in part]
    assert total == [2 * i for i in range(20)]
    assert MPIPool.enabled() == (len(pool.workers) > 0)
    print("fine", pool.size)
"""
    passed(script(ranks, text), f"fine {ranks}")


@pytest.mark.parametrize("schedule", slow_but(["demand"], ["static", "demand"]))
def test_types_of_results_are_kept(script, schedule):
    text = """
from pmcmc import MPIPool
import numpy as np
results = [1.5, np.float64(2.5), 3, None, "x", np.arange(3.0), (1.0, 2.0), np.array(1.0), True]
def nth(i): return results[i]
with MPIPool(schedule="%s") as pool:
    out = pool.map(nth, list(range(9)))
    for a, b in zip(out, results):
        assert type(a) is type(b) and np.array_equal(a, b), (a, b)
    floats = pool.map(float, ["1", "2", "3", "4"])
    assert floats == [1.0, 2.0, 3.0, 4.0] and all(type(f) is float for f in floats)
"""
    passed(script(3, text % schedule))


@pytest.mark.parametrize("dill", slow_but([True], [False, True]))
def test_the_function_goes_out_once_and_again_when_it_changes(script, dill):
    text = """
from pmcmc import MPIPool
import numpy as np
class F:
    def __init__(self, n): self.data = np.ones(n); self.shift = 0.0
    def __call__(self, x): return float(x[0] + self.data[0] + self.shift)
    def method(self, x): return float(x[0] * self.data[0])
with MPIPool(use_dill=DILL) as pool:
    f, rows = F(100_000), np.arange(20.0)[:, None]
    def check(g): assert pool.map(g, rows) == [g(r) for r in rows]
    check(f)
    first = pool._dispatcher.bytes_sent
    assert first >= 800_000
    for _ in range(5): check(f)
    assert pool._dispatcher.bytes_sent - first < 5 * 20 * 8 * 4
    f.shift = 3.0; check(f)
    f.data = f.data * 2; check(f)
    f.data *= 2; check(f)
    check(f.method)
    if DILL:
        check(lambda x: float(x[0]) + 7)
    check(F(3))
    print("fine")
"""
    passed(script(3, text.replace("DILL", str(dill))), "fine")


def test_dill_looks_for_changes_without_a_copy_of_the_data(script):
    text = """
import tracemalloc
import dill, numpy as np
from pmcmc import MPIPool
scale = 1.0
def make(data):
    shift = 0.0
    def log_prob(x, offset=np.zeros(2)):
        return float(x[0] * data[0] + data[-1] + shift + offset[0])
    def change(value):
        nonlocal shift
        shift = value
    return log_prob, change
space = dict(scale=1.0, table=np.ones(200_000))
exec("def of_a_namespace(x): return float(x[0] * scale * table[0])", space)
uses_global = lambda x: float(x[0] * scale)
rows = np.arange(6.0)[:, None]
with MPIPool(use_dill=True) as pool:
    def check(f, sent):
        before = pool._dispatcher.bytes_sent
        assert pool.map(f, rows) == [f(r) for r in rows]
        assert (pool._dispatcher.bytes_sent - before > 200) == sent, (f, sent)
    def unchanged(f):
        tracemalloc.start()
        check(f, False)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < data.nbytes / 10, peak
    data = np.ones(200_000)
    f, change = make(data)
    check(f, True); unchanged(f)
    change(2.0); check(f, True); unchanged(f)
    data[:] = 3.0; check(f, True); unchanged(f)
    f.__defaults__[0][0] = 5.0; check(f, True); unchanged(f)
    g, _ = make(data)
    check(g, True); unchanged(g)
    h = space["of_a_namespace"]
    check(h, True); unchanged(h)
    space["scale"] = 7.0; check(h, True); unchanged(h)
    space["table"][:] = 2.0; check(h, True); unchanged(h)
    dill.settings["recurse"] = True
    check(uses_global, True); unchanged(uses_global)
    scale = 4.0; check(uses_global, True); unchanged(uses_global)
    print("fine")
"""
    passed(script(2, text, timeout=120), "fine")


KINDS = ["schedule='demand'", "schedule='static'", "root_works=False", "use_dill=True"]


@pytest.mark.parametrize("more", slow_but(KINDS[-1:], KINDS))
def test_classes_of_tasks_and_results_keep_the_main_thread(script, more):
    """What pickle calls of them does not run beside a task."""
    text = """
import threading, time
from pmcmc import MPIPool
busy = []
class alone:
    def __enter__(self):
        assert threading.current_thread() is threading.main_thread(), "not in the main thread"
        assert not busy, "beside other code"
        busy.append(1)
    def __exit__(self, *failure): busy.pop()
class Thing:
    def __init__(self, value): self.value = value
    def __getstate__(self):
        with alone(): return self.value
    def __setstate__(self, value):
        with alone(): self.value = value
def double(thing):
    with alone():
        time.sleep(0.002)
        return Thing(2 * thing.value)
seen = []
def see(thing):
    with alone(): seen.append(thing.value)
with MPIPool(MORE) as pool:
    for _ in range(2):
        out = pool.map(double, [Thing(k) for k in range(40)], callback=see)
        assert [t.value for t in out] == [2 * k for k in range(40)]
        assert sorted(seen) == [2 * k for k in range(40)]
        seen.clear()
    print("fine")
"""
    passed(script(3, text.replace("MORE", more)), "fine")


def test_tasks_larger_than_what_is_pickled_ahead(script):
    text = """
import numpy as np
from pmcmc import MPIPool
from pmcmc.pool import dispatch
dispatch._AHEAD = 100_000
def total(task): return task[1].sum()
with MPIPool(schedule="demand") as pool:
    for n, size in ((30, 50_000), (300, 5), (7, 50_000)):
        tasks = [("a", np.full(size, k)) for k in range(n)]
        assert pool.map(total, tasks) == [k * size for k in range(n)]
        assert pool._dispatcher._ahead == 0
    print("fine")
"""
    passed(script(3, text), "fine")


def test_the_root_prepares_more_where_its_helper_took_what_there_was(script):
    text = """
import threading, time
from pmcmc import MPIPool
from pmcmc.pool import dispatch
dispatch._AHEAD = 0
pop = dispatch.Dispatcher.pop
def late(self, *given):
    if threading.current_thread() is threading.main_thread():
        time.sleep(2e-3)
    return pop(self, *given)
dispatch.Dispatcher.pop = late
def double(text): return 2 * text
with MPIPool(schedule="demand") as pool:
    assert pool.map(double, ["a"] * 40) == ["aa"] * 40
    print("fine")
"""
    passed(script(3, text), "fine")


def test_emcee_draws_through_the_pool_are_serial_emcees(script):
    text = """
import emcee, numpy as np
from pmcmc import MPIPool
def log_prob(theta, s): return -0.5 * float(theta @ theta) / s, theta[0] * 2
def sample(pool):
    np.random.seed(1)
    sampler = emcee.EnsembleSampler(16, 3, log_prob, pool=pool, args=(2.0,), blobs_dtype=float)
    sampler.run_mcmc(np.random.randn(16, 3), 30)
    return sampler
with MPIPool() as pool:
    if not pool.is_master():
        pool.wait()
        sys.exit(0)
    a, b = sample(pool), sample(None)
assert np.array_equal(a.get_chain(), b.get_chain())
assert np.array_equal(a.get_blobs(), b.get_blobs())
print("fine")
"""
    passed(script(3, text), "fine")


@pytest.mark.slow
def test_dynesty_runs_through_the_pool(script):
    text = """
import numpy as np, dynesty
from pmcmc import MPIPool
def like(u): return -0.5 * float(np.sum((u / 0.1) ** 2))
def transform(u): return 2 * u - 1
def sample(pool):
    sampler = dynesty.NestedSampler(like, transform, 2, nlive=50, pool=pool, queue_size=4,
        rstate=np.random.default_rng(1), bound="single", sample="unif")
    sampler.run_nested(dlogz=1.0, print_progress=False)
    return sampler.results.logz[-1]
with MPIPool() as pool:
    z = sample(pool)
assert abs(z - np.log(2 * np.pi * 0.01 / 4)) < 1.0, z
print("fine")
"""
    done = script(3, text)
    assert done.returncode == 0, done
    assert done.stdout == "fine\n"


@pytest.mark.slow
def test_zeus_runs_through_the_pool(script):
    text = """
import numpy as np, zeus
from pmcmc import MPIPool
def log_prob(theta): return -0.5 * float(theta @ theta)
with MPIPool() as pool:
    np.random.seed(1)
    sampler = zeus.EnsembleSampler(10, 2, log_prob, pool=pool, verbose=False)
    sampler.run_mcmc(np.random.randn(10, 2), 200, progress=False)
    draws = sampler.get_chain(flat=True, discard=50)
assert abs(draws.std() - 1) < 0.2, draws.std()
print("fine")
"""
    done = script(3, text)
    assert done.returncode == 0, done
    assert done.stdout == "fine\n"


PLACES = [(s, where) for s in ("static", "demand") for where in ("worker", "root")]


@pytest.mark.parametrize(("schedule", "where"), slow_but([PLACES[2], PLACES[1]], PLACES))
def test_a_failing_task_raises_on_rank_0_and_the_pool_goes_on(script, schedule, where):
    text = """
import numpy as np, time
from mpi4py import MPI
from pmcmc import MPIPool, RankError
rank = MPI.COMM_WORLD.rank
mine = rank > 0 if "WHERE" == "worker" else rank == 0
class Odd(Exception):
    def __init__(self, a, b): super().__init__(a)
def fails(x):
    time.sleep(0.002)
    if mine and x >= 0: raise ValueError("the message", int(x))
    return x
def odd(x):
    time.sleep(0.002)
    if mine: raise Odd(lambda: 0, 1)
    return x
def leaves(x):
    time.sleep(0.002)
    if mine: sys.exit(0)
    return x
with MPIPool(schedule="SCHEDULE") as pool:
    for function, kinds in ((fails, ValueError), (odd, (RankError, Odd)),
                            (leaves, (RankError, SystemExit))):
        try:
            pool.map(function, range(40))
            raise AssertionError("nothing raised")
        except kinds as exc:
            if "WHERE" == "worker":
                text = "".join([str(exc), *getattr(exc, "__notes__", []), str(exc.__cause__)])
                assert "on rank " in text and "task " in text and "host " in text, text
                assert f"in {function.__name__}" in text, text
        assert pool.map(abs, [-1, 2, -3]) == [1, 2, 3]
    print("fine")
"""
    done = script(3, text.replace("WHERE", where).replace("SCHEDULE", schedule))
    passed(done, "fine")


def ends_badly(done, began, *words, status=1):
    assert time.monotonic() - began < 15
    # MPICH 5's mpiexec now and then says 11 where a rank ended by a signal, though none had that
    known = (status, 11) if status > 1 else (status,)
    assert done.returncode in known, done
    for word in words:
        assert word in done.stderr, done


def test_an_exception_in_a_task_ends_an_ordinary_script(script):
    text = """
from pmcmc import MPIPool
def derp(task): raise AttributeError("Derp")
with MPIPool() as pool:
    pool.map(derp, range(1000))
"""
    began = time.monotonic()
    ends_badly(script(3, text), began, "AttributeError: Derp", "task ")


@pytest.mark.parametrize("how", ["raise KeyboardInterrupt", "raise OSError('callback')"])
def test_rank_0_raising_in_the_callback_ends_the_job(script, launch, how):
    text = f"""
import time
from pmcmc import MPIPool
def slow(x): time.sleep(0.01); return x
def callback(x): {how}
with MPIPool() as pool:
    pool.map(slow, range(500), callback=callback)
"""
    began = time.monotonic()
    # Python ends itself by SIGINT where nobody caught a KeyboardInterrupt
    status = launch.killed_by(2) if "Keyboard" in how else 1
    ends_badly(script(3, text), began, how.split()[1].partition("(")[0], status=status)


def test_rank_0_dying_without_closing_the_pool_ends_the_job(script):
    began = time.monotonic()
    ends_badly(script(3, "from pmcmc import MPIPool\npool = MPIPool()\n1 / 0"), began, "ZeroDiv")


def test_a_killed_worker_ends_the_job(script, launch):
    text = """
import os, time
from mpi4py import MPI
from pmcmc import MPIPool
def die(x):
    if MPI.COMM_WORLD.rank == 1: os.kill(os.getpid(), 9)
    time.sleep(0.01)
    return x
with MPIPool() as pool:
    pool.map(die, range(1000))
"""
    began = time.monotonic()
    ends_badly(script(3, text), began, status=launch.killed_by(9))


@pytest.mark.parametrize("what", ["lambda: 0", "(i for i in ())"])
def test_a_result_that_cannot_be_pickled_is_reported(script, what):
    text = f"""
from pmcmc import MPIPool
def odd(x): return {what}
with MPIPool(root_works=False) as pool:
    pool.map(odd, range(10))
"""
    began = time.monotonic()
    ends_badly(script(2, text), began, "cannot be sent to rank 0")


def test_a_function_that_a_worker_cannot_load_is_reported(script):
    text = """
from pmcmc import MPIPool
with MPIPool(root_works=False) as pool:
    def late(x): return x  # the workers are held above, and have no such function
    pool.map(late, range(10))
"""
    began = time.monotonic()
    ends_badly(script(2, text), began, "AttributeError", "late")


def test_map_after_close_is_refused(script):
    text = """
from pmcmc import MPIPool, RankError
pool = MPIPool()
pool.close(); pool.close()
try: pool.map(abs, [1])
except RankError as exc: print(exc)
"""
    passed(script(2, text), "the pool is closed: map was called after close()")


def test_a_pool_after_a_pool_is_refused(script):
    text = """
from pmcmc import MPIPool, RankError
with MPIPool() as pool:
    print(pool.map(abs, [-1, 2]), flush=True)
    try: MPIPool()
    except RankError as exc: print(exc)
try: MPIPool(schedule="static")
except RankError as exc: print(exc)
import pmcmc
problem = pmcmc.Problem(lambda t: -float(t @ t), ["a"], initial=[0.0])
try: pmcmc.run(problem, nsteps=20, burnin=5)
except RankError as exc: print(exc)
"""
    done = script(2, text)
    assert (done.returncode, done.stderr) == (0, ""), done
    first, *said = done.stdout.splitlines()
    assert first == "[1, 2]"
    assert [line.partition(" belong to an MPIPool")[0] for line in said] == [
        "ranks of this pool", "ranks of this pool", "ranks of this run",
    ]  # fmt: skip


def test_pools_one_after_another_on_one_rank(script):
    text = """
from pmcmc import MPIPool
for schedule in ("static", "demand"):
    with MPIPool(schedule=schedule) as pool:
        print(pool.map(abs, [-1, 2]))
"""
    passed(script(1, text), "[1, 2]", "[1, 2]")


def test_bytes_per_evaluation_do_not_depend_on_the_data(script):
    text = """
import emcee, numpy as np
from pmcmc import MPIPool
def log_prob(theta, data): return -0.5 * float(theta @ theta) * data[0]
with MPIPool(schedule="static") as pool:
    sent = []
    for n in (1, 100_000):
        args = (np.ones(n),)
        sampler = emcee.EnsembleSampler(100, 3, log_prob, pool=pool, args=args)
        state = sampler.run_mcmc(np.random.RandomState(1).randn(100, 3), 1)
        before = pool._dispatcher.bytes_sent
        sampler.run_mcmc(state, 10)
        sent.append((pool._dispatcher.bytes_sent - before) / 1000)
    assert sent[0] == sent[1] < 3 * 8 * 1.5, sent
    print("fine")
"""
    passed(script(2, text), "fine")


@pytest.mark.slow
def test_a_function_of_more_than_2_gigabytes(script):
    text = """
import numpy as np
from pmcmc import MPIPool
class F:
    def __init__(self): self.data = np.zeros(2**31 + 1000, dtype=np.uint8); self.data[-1] = 7
    def __call__(self, x): return float(x + self.data[-1])
with MPIPool(root_works=False) as pool:
    assert pool.map(F(), [1, 2]) == [8.0, 9.0]
print("fine")
"""
    passed(script(2, text, timeout=180), "fine")


def test_with_a_low_thread_level_rank_0_only_dispatches_and_says_so(script):
    text = """
import mpi4py
mpi4py.rc.thread_level = "funneled"
from mpi4py import MPI
from pmcmc import MPIPool
def worker(task): return MPI.COMM_WORLD.rank
with MPIPool(schedule="demand") as pool:
    print(sorted(set(pool.map(worker, list(range(50))))))
"""
    done = script(3, text)
    assert (done.returncode, done.stdout) == (0, "[1, 2]\n")
    assert done.stderr.count("evaluates nothing itself") == 1


def test_vectors_of_different_lengths_are_tasks():
    from pmcmc.pool.tasks import as_rows

    rows = as_rows([np.zeros(2), np.ones(2)])
    assert isinstance(rows, np.ndarray)
    assert rows.shape == (2, 2)
    for tasks in ([np.zeros(2), np.ones(3)], [1.0, 2.0], [np.zeros(2, int)], [np.zeros((1, 2))]):
        assert isinstance(as_rows(tasks), list)

"""MPIPool.map called again before it has ended: in a callback, in a task, in other threads."""

import pytest

from conftest import slow_but

SCRIPT = """
import sys, threading, time, warnings
import numpy as np
from pmcmc import MPIPool
def double(x): return 2 * x
def triple(x): return 3 * x
def slow_double(x): time.sleep(0.002); return 2 * x
class Wide:  # a task that is pickled
    def __init__(self, x): self.x = x
def wide(task): return task.x + 1
def outer(x):
    if "pool" in globals():  # on rank 0: workers never come back from the constructor
        deeper = [pool.map(work, [x, 1.0]) for work in (double, triple)]
        assert deeper == [[2 * x, 2.0], [3 * x, 3.0]], deeper
    return x
def fail(x):
    if x == 7: raise KeyError(x)
    return x
def size(row): return row.shape[0] + 5
def leave(x): sys.exit(0)
def leave_on_worker(x):
    return x if "pool" in globals() else sys.exit(0)
pool = MPIPool(schedule=SCHEDULE)
"""


@pytest.fixture
def script(launch, tmp_path):
    """Run a script that has a pool, which prints "fine"."""

    def run(ranks, schedule, text):
        (tmp_path / "script.py").write_text(SCRIPT.replace("SCHEDULE", repr(schedule)) + text)
        done = launch(ranks, "script.py", cwd=tmp_path, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", ""), done

    return run


LAYOUTS = [
    (1, "auto"),
    (3, "demand"),
    pytest.param(2, "static", marks=pytest.mark.slow),
    pytest.param(5, "auto", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("ranks", "schedule"), LAYOUTS)
def test_a_map_in_a_callback(script, ranks, schedule):
    script(
        ranks,
        schedule,
        """
for work, tasks in ((double, list(range(30))), (slow_double, list(np.arange(60.0)))):
    inner = []
    def callback(result):
        inner.append(pool.map(triple, [result, result + 1]))
        inner.append(pool.map(wide, [Wide(result), Wide(0)] * 3))
    assert pool.map(work, tasks, callback=callback) == [2 * t for t in tasks]
    assert sorted(inner[::2]) == [[6 * t, 6 * t + 3] for t in tasks]
    assert sorted(inner[1::2]) == [[2 * t + 1, 1] * 3 for t in tasks]
print("fine")
""",
    )


@pytest.mark.parametrize(("ranks", "schedule"), LAYOUTS)
def test_a_map_in_a_task_on_rank_0(script, ranks, schedule):
    script(
        ranks,
        schedule,
        """
tasks = list(np.arange(40.0))
assert pool.map(outer, tasks) == tasks
assert pool.map(double, tasks) == [2 * t for t in tasks]
print("fine")
""",
    )


@pytest.mark.parametrize(("ranks", "schedule"), LAYOUTS[1:])
def test_maps_of_several_threads_take_turns(script, ranks, schedule):
    script(
        ranks,
        schedule,
        """
found = {}
def maps(k):
    work = (double, triple, slow_double)[k % 3]
    for n in range(20):
        tasks = list(range(k, k + 15))
        found[k, n] = pool.map(work, tasks) == [(3 if k % 3 == 1 else 2) * t for t in tasks]
threads = [threading.Thread(target=maps, args=(k,)) for k in range(6)]
for thread in threads: thread.start()
maps(6)
for thread in threads: thread.join()
assert len(found) == 140 and all(found.values()), found
print("fine")
""",
    )


@pytest.mark.parametrize("schedule", slow_but(["demand"], ["static", "demand"]))
def test_an_inner_map_that_fails_leaves_the_outer_alone(script, schedule):
    script(
        3,
        schedule,
        """
caught = []
def callback(result):
    try:
        pool.map(fail, list(range(20)))
    except KeyError as exc:
        caught.append(exc)
tasks = list(range(50))
assert pool.map(slow_double, tasks, callback=callback) == [2 * t for t in tasks]
assert len(caught) == 50
print("fine")
""",
    )


def test_the_functions_of_both_go_out_once(script):
    script(
        3,
        "static",
        """
sent = []
add = pool._dispatcher.add_function
def count(data):
    sent.append(data)
    return add(data)
pool._dispatcher.add_function = count
for _ in range(5):
    assert pool.map(double, [1, 2, 3], callback=lambda r: pool.map(triple, [r])) == [2, 4, 6]
assert len(sent) == 2, len(sent)
print("fine")
""",
    )


@pytest.mark.parametrize("schedule", slow_but(["demand"], ["static", "demand"]))
def test_rows_of_no_elements(script, schedule):
    script(
        3,
        schedule,
        """
assert pool.map(size, np.empty((7, 0))) == [5] * 7
assert pool.map(size, [np.empty(0)] * 4) == [5] * 4
print("fine")
""",
    )


@pytest.mark.parametrize("task", slow_but(["leave_on_worker"], ["leave", "leave_on_worker"]))
def test_system_exit_in_a_task_is_a_failure(launch, tmp_path, task):
    text = SCRIPT.replace("SCHEDULE", "'auto'") + f"pool.map({task}, list(range(30)))\nprint('on')"
    (tmp_path / "script.py").write_text(text)
    done = launch(3, "script.py", cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert "SystemExit: 0 (task " in done.stderr


@pytest.mark.slow
def test_a_pool_that_is_slower_than_one_process_says_so_once(launch, tmp_path):
    text = """
warnings.simplefilter("always")
tasks = list(np.arange(64.0))
for work in (double, slow_double):
    began = time.time()
    while time.time() - began < 3:
        pool.map(work, tasks)
print("fine")
"""
    (tmp_path / "script.py").write_text(SCRIPT.replace("SCHEDULE", "'static'") + text)
    done = launch(3, "script.py", cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done
    assert done.stderr.count("RuntimeWarning") == 1
    assert "MPIPool is slower than one process: its maps took " in done.stderr

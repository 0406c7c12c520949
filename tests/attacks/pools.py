"""Pools used in odd ways: what map returns is what one process returns, or a clear error.

A script on 1 to 4 ranks does some of many things one after another; each is compared with the
same thing done by Python's own map.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import job

SCRIPT = """
import functools, json, sys, threading, time, warnings
import numpy as np
import pmcmc
from pmcmc import MPIPool
warnings.simplefilter("ignore", RuntimeWarning)
seed, steps, schedule = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
use_dill = sys.argv[4] == "dill"
rng = np.random.default_rng(seed)
def double(x): return 2 * x
def triple(x): return 3 * x
def slow(x): time.sleep(0.001 * (int(np.sum(x)) % 5)); return x + 1
def big(x): return np.full(20000, x)
def row(x): return np.asarray(x).sum()
def size(x): return np.asarray(x).shape
def fails(x):
    if np.sum(x) % 7 == 3: raise KeyError(float(np.sum(x)))
    return x
def foul(x):
    class Foul(Exception):
        def __reduce__(self): raise TypeError
    raise Foul(x)
def gives_error(x): return ValueError(x)
def changes(x): x[:] = 0; return 1
def many(x): return [x, {"x": x}, (None, x), "\\ud83d\\ude00" * 3]
def nested(x):
    if "pool" in globals() and pool.is_master():
        assert list(pool.map(triple, [1, 2, 3.5])) == [3, 6, 10.5]
    return x - 1
class Times:
    def __init__(self, n, data): self.n, self.data = n, data
    def __call__(self, x): return self.n * x + self.data.sum()
    def method(self, x): return self.n * np.sum(x)
data = rng.normal(size=50000)
times = Times(3, data)
def tasks():
    n, kind = int(rng.integers(0, 60)), int(rng.integers(8))
    if kind == 0: return list(range(n))
    if kind == 1: return list(rng.normal(size=n))
    if kind == 2: return rng.normal(size=(n, int(rng.integers(0, 4))))
    if kind == 3: return list(rng.normal(size=(n, 3)))
    if kind == 4: return rng.integers(100, size=(n, 2))
    if kind == 5: return [np.arange(k % 4, dtype=float) for k in range(n)]
    if kind == 6: return tuple(float(k) for k in range(n))
    return np.arange(n, dtype="f4")
def outcome(call):
    try:
        return "value", call()
    except Exception as exc:
        return type(exc).__name__, type(exc.args)  # of several failures any may be raised
def same(a, b):
    if type(a) is not type(b): return False
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, (list, tuple)): return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict): return same(list(a.items()), list(b.items()))
    if isinstance(a, BaseException): return same(a.args, b.args)
    return a == b or a != a
def plain(mapper):
    f = [double, slow, big, row, size, many, gives_error, nested, times, times.method,
         functools.partial(np.add, 1.0)][int(pick.integers(11))]
    return list(mapper(f, given))
def failing(mapper): return list(mapper(fails, given))
def unpicklable(mapper):
    try: list(mapper(foul, given))
    except Exception as exc: return "failed"
    return "none"
def generator(mapper): return list(mapper(double, (x for x in given)))
def dilled(mapper):
    shift = int(pick.integers(9))
    return list(mapper((lambda x: np.sum(x) + shift) if use_dill else double, given))
def changed(mapper):
    times.data = times.data + 1.0
    return list(mapper(times, given))
def callback(mapper):
    seen = []
    def note(result):
        seen.append(result)
        if len(seen) == 2 and mapper is not map:
            assert pool.map(triple, [4]) == [12]
    if mapper is map:
        got = list(map(double, given)); [note(r) for r in got]
    else:
        got = list(mapper(double, given, callback=note))
    return got, len(seen)
def threads(mapper):
    found = {}
    def use(k, f): found[k] = list(mapper(f, given))
    works = enumerate((double, slow, triple))
    both = [threading.Thread(target=use, args=work) for work in works]
    [t.start() for t in both]; [t.join() for t in both]
    return sorted(found.items())
def mutating(mapper): return list(mapper(changes, [np.ones(3) for _ in range(5)]))
ways = (plain, plain, plain, failing, unpicklable, generator, dilled, changed, callback, threads,
        mutating)
bad = []
with MPIPool(schedule=schedule, use_dill=use_dill) as pool:
    for k in range(steps):
        way, given, mark = ways[int(rng.integers(len(ways)))], tasks(), int(rng.integers(2**31))
        before = times.data
        pick = np.random.default_rng(mark); expected = outcome(lambda: way(map))
        times.data, pick = before, np.random.default_rng(mark)
        found = outcome(lambda: way(pool.map))
        if not same(found, expected):
            bad.append([k, way.__name__, *(repr(x)[:200] for x in (given, found, expected))])
print(json.dumps({"steps": steps, "bad": bad}))
"""


def prepare(folder: Path, python: str) -> None:
    """Write the script."""
    (folder / "pools.py").write_text(SCRIPT)


def attempt(folder: Path, seed: int, python: str) -> tuple[str, str, str]:
    """Try one script; return its kind, how it ended, and what is wrong ("" if nothing)."""
    rng = np.random.default_rng(seed)
    ranks = 1 + seed % 4
    options = [str(rng.choice(["auto", "static", "demand"])), str(rng.choice(["dill", "pickle"]))]
    command = [*job.ranks_of(job.launcher(python), ranks), "pools.py", str(seed), "40", *options]
    ended = job.run(command, folder)
    wrong = job.complaint(ended)
    if not wrong and (ended.status or '"bad": []' not in ended.out):
        wrong = "wrong values"
    if wrong:
        wrong = f"{ranks} ranks, {options}: {wrong}\n{ended.status}\n{ended.out}\n{ended.err}"
    return f"pool, {ranks} ranks", f"status {ended.status}", wrong

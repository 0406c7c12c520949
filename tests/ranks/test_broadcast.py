"""What goes to all ranks goes once: in one broadcast, which costs rank 0 no copy per rank."""

import numpy as np
import pytest

from conftest import slow_but
from pmcmc.pickles import pack, pack_by_dill, unpack, unpack_by_dill

MB = 2**20
# prints the peak of rank 0's memory, in bytes, after a run of a problem that it alone has
PEAK = """
import resource, sys
import numpy as np, pmcmc
from mpi4py import MPI
problem = None
if MPI.COMM_WORLD.rank == 0:
    data = np.ones(int(sys.argv[1]) // 8)
    def make():
        return lambda t: -0.5 * float(((data[-1] - t) ** 2).sum())
    problem = pmcmc.Problem(make(), ["a"], initial=[1.0])
pmcmc.run(problem, nsteps=16, nwalkers=4, burnin=0, seed=1, mode="split")
if MPI.COMM_WORLD.rank == 0:
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


@pytest.mark.slow
def test_memory_of_rank_0_does_not_grow_with_the_number_of_ranks(launch, tmp_path):
    """A problem of 20 MB costs rank 0 its own copy, and no other.

    MPI itself takes more memory at more ranks: a run of a tiny problem tells how much.
    """
    (tmp_path / "script.py").write_text(PEAK)
    costs = []
    for ranks in (2, 6, 16):
        tiny, large = (
            int(launch(ranks, "script.py", size, cwd=tmp_path, timeout=300).stdout)
            for size in (8, 20 * MB)
        )
        costs.append((large - tiny) / MB)
    assert max(costs) < 30, costs  # a second copy would make it 40
    assert max(costs) - min(costs) < 5, costs


ARRAYS = {
    "plain": np.arange(20_000.0),
    "small": np.arange(3),
    "no values": np.zeros((0, 3)),
    "columns first": np.asfortranarray(np.arange(20_000.0).reshape(100, 200)),
    "every other": np.arange(40_000.0)[::2],
    "text": np.full(9_000, "ab\u03b2"),
    "records": np.ones(9_000, dtype=[("r", "f8"), ("n", "i4", (2,))]),
    "objects": np.array([{"a": 1}, None] * 9_000, dtype=object),
}


@pytest.mark.parametrize("way", [(pack, unpack), (pack_by_dill, unpack_by_dill)])
@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_arrive_as_they_were(kind, way):
    array = ARRAYS[kind]
    sent = way[0]({"it": array, "again": array})
    large = array.nbytes > 2**16 and array.flags.forc and kind != "objects"
    assert len(sent) == 1 + large
    if large:  # not a copy
        assert np.shares_memory(np.frombuffer(sent[1], np.uint8), array.ravel("K").view(np.uint8))
    arrived = way[1]([bytearray(buffer) for buffer in sent])
    assert arrived["it"] is arrived["again"]
    assert arrived["it"].dtype == array.dtype
    assert arrived["it"].flags.writeable
    if large:
        assert arrived["it"].strides == array.strides
    np.testing.assert_array_equal(arrived["it"], array)


def test_an_array_that_may_not_be_written_stays_so():
    array = np.arange(20_000.0)
    array.flags.writeable = False
    arrived = unpack_by_dill([bytearray(buffer) for buffer in pack_by_dill(array)])
    assert not arrived.flags.writeable


HEAD = """
import sys, numpy as np, pmcmc
from mpi4py import MPI
from pmcmc.mpi import broadcast, control
rank, size = MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size
def say(*words): sys.stdout.write(" ".join(map(str, words)) + "\\n")
def problem(*arrays):
    return pmcmc.Problem(lambda t, *a: -0.5 * float(t @ t), ["a"], initial=[1.0], args=arrays)
def sample(problem):
    return pmcmc.run(problem, nsteps=30, nwalkers=4, burnin=0, seed=1, mode="split")
"""


def test_what_is_larger_than_one_call_goes_in_parts(launch, tmp_path):
    (tmp_path / "script.py").write_text(
        HEAD
        + """
broadcast._PART = 1000
x, y = np.arange(20_001.0), np.arange(99_999) % 7
def log_prob(theta, x, y):
    same = np.array_equal(x, np.arange(20_001.0)) and np.array_equal(y, np.arange(99_999) % 7)
    say("same" if same else "other")
    return -0.5 * float(theta @ theta)
mine = pmcmc.Problem(log_prob, ["a"], initial=[1.0], args=(x, y)) if rank == 0 else None
sample(mine)
"""
    )
    done = launch(3, "script.py", cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done
    assert set(done.stdout.split()) == {"same"}


BREAKS = {
    "it cannot be loaded": """
class Broken:
    def __reduce__(self): return load, ()
def load():
    if MPI.COMM_WORLD.rank == 1: raise ValueError("the message")
mine = problem(Broken(), np.ones(MANY))
""",
    "a rank fails while it is sent": """
mine = problem(np.ones(MANY))
class Fails(control.Broadcast):
    def done(self):
        if rank == 1 and not hasattr(control, "failed") and len(self.buffers) > 1:
            control.failed = True
            raise ValueError("the message")
        return super().done()
control.Broadcast = Fails
""",
    "rank 0 fails while it is sent": """
mine = problem(np.ones(MANY))
class Fails(control.Broadcast):
    def done(self):
        if rank == 0 and not hasattr(control, "failed") and len(self.buffers) > 1:
            control.failed = True
            raise ValueError("the message")
        return super().done()
control.Broadcast = Fails
""",
    "it cannot be made into bytes": """
class Broken:
    def __reduce__(self): raise ValueError("the message")
mine = problem(Broken(), np.ones(MANY))
""",
}


@pytest.mark.parametrize("how", slow_but(list(BREAKS)[:1], BREAKS))
def test_a_failure_round_a_broadcast_reaches_all_ranks_and_another_run_works(
    launch, tmp_path, how
):
    (tmp_path / "script.py").write_text(
        HEAD
        + BREAKS[how].replace("MANY", "10**6")
        + """
try:
    sample(mine if rank == 0 else None)
except pmcmc.PmcmcError as exc:
    say("raised", "the message" in str(exc))
say("again", (sample(problem(np.ones(10**6)) if rank == 0 else None) is None) == (rank > 0))
"""
    )
    done = launch(3, "script.py", cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done
    assert sorted(done.stdout.splitlines()) == ["again True"] * 3 + ["raised True"] * 3
    assert done.stderr == ""


def test_a_rank_that_has_no_room_ends_the_job(launch, tmp_path):
    (tmp_path / "script.py").write_text(
        HEAD
        + """
def room(sizes):
    if rank == 1 and len(sizes) > 1: raise MemoryError("no room for the problem")
    return broadcast.room(sizes)
control.room = room
sample(problem(np.ones(10**6)) if rank == 0 else None)
"""
    )
    done = launch(3, "script.py", cwd=tmp_path, timeout=60)
    assert done.returncode == 1, done
    assert done.stderr.count("pmcmc: error: MemoryError: no room for the problem on rank 1") == 1


def test_arrays_of_no_byte_and_of_one():
    given = [np.empty(0), np.empty((0, 3)), np.array([True]), np.array([True])]
    found = unpack_by_dill([bytearray(buffer) for buffer in pack_by_dill(given)])
    for one, other in zip(given, found, strict=True):
        np.testing.assert_array_equal(one, other)

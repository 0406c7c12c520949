"""Figures of draws that are too many to be read side by side: bounded memory, and still right."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from fake_run import Readable, ar1, header
from pmcmc.diagnostics import values as module
from pmcmc.diagnostics.statistics import ChainStatistics
from pmcmc.diagnostics.summarize import summarize
from pmcmc.diagnostics.verdict import assess
from pmcmc.storage.checkpoint import Checkpoint
from pmcmc.storage.layout import lay_out


def readable(rng, rows, rho, nwalkers=16, ndim=1, **options):
    chains = [np.stack([ar1(rng, n, nwalkers, rho) for _ in range(ndim)], axis=2) for n in rows]
    return Readable(chains, [-0.5 * (c**2).sum(axis=2) for c in chains], **options)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_which_walkers_and_rows_are_read(rng, monkeypatch):
    reader = readable(rng, (700, 701, 650), 0.5, ndim=3)
    monkeypatch.setattr(module, "_BLOCK", 16 * 3 * 7)
    for discard, most, stride in ((0, 40_000, 1), (0, 20_000, 2), (13, 3000, 11)):
        statistics = ChainStatistics(reader, discard=discard, most=most)
        assert (statistics.row_stride, statistics.series_stride) == (stride, 1)
        for i in range(4):
            read = zip(
                statistics.values(i), statistics.series(i), reader.chain, reader.log_prob,
                strict=True,
            )  # fmt: skip
            for values, series, chain, log_prob in read:
                expected = (chain[..., i] if i < 3 else log_prob)[discard:]
                np.testing.assert_array_equal(values, expected[::stride])
                np.testing.assert_array_equal(series, expected)
        assert sum(map(np.size, statistics.values(0))) <= most + 3 * 16


@pytest.mark.parametrize(
    ("rho", "stride", "thin_by"), [(0.95, 4, 1), (0.95, 13, 5), (0.5, 13, 1), (0.0, 13, 1)]
)
def test_tau_of_rows_far_apart(rng, rho, stride, thin_by):
    """It is right where it is three strides or more, else too long, by a stride at the most."""
    reader = readable(rng, (10_000,) * 4, rho, nwalkers=8, thin_by=thin_by)
    whole, part = (
        ChainStatistics(reader, most=10**9),
        ChainStatistics(reader, most=-(-4 * 10_000 * 8 // stride)),
    )
    part.series_stride = stride  # as where rows are many
    assert part.row_stride == stride
    tau, far = whole.tau(0), part.tau(0)
    apart = stride * thin_by
    assert far == pytest.approx(tau, rel=0.06) or (tau < 3 * apart and tau < far)
    assert far < tau * 1.06 + apart
    for size in ("ess_bulk", "ess_tail"):
        assert getattr(part, size)(0) < 1.1 * getattr(whole, size)(0)
    assert part.ess_bulk(0) == pytest.approx(part.ndraws / far * thin_by, rel=0.05)
    assert abs(part.r_hat(0) - whole.r_hat(0)) < 2e-3
    assert part.quantiles(0) == pytest.approx(whole.quantiles(0), abs=0.05)


def test_the_note_says_what_was_read(rng):
    accepted = np.full((4, 32), 800.0)
    reader = readable(rng, (2000,) * 4, 0.5, nwalkers=32, thin_by=3, accepted=accepted)
    notes = {
        None: (),
        100_000: (
            "every 3rd kept step: a tau below 27 is told up to 9 too long, and ess too small",
        ),
    }
    for most, note in notes.items():
        told = assess(summarize(ChainStatistics(reader, most=most))).lines
        assert told[0].startswith("enough: ")
        assert told[1:] == tuple(
            f"note: quantiles, tau, ess and r_hat are those of {n}" for n in note
        )


# walkers that stay where they are for 1000 steps, and jump: tau is 1000; holes, as they are read,
# are zeros, and the values are added
LONG = """
import re, sys, time
from pathlib import Path
import numpy as np
from pmcmc.storage.reader import RunReader
from pmcmc.diagnostics.stopping import StopRules, worst_figures
from pmcmc.diagnostics.statistics import ChainStatistics

def value(e, rows, w, column):
    with np.errstate(over="ignore"):
        x = ((rows // 10_000 * 64 + w) * 8 + column).astype(np.uint64)
        x = x * np.uint64(4) + np.uint64(e)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        x ^= x >> np.uint64(31)
    return x / 2.0**64

class Filled(RunReader):
    def values(self, name, e, rows, phase="ensembles"):
        found = super().values(name, e, rows, phase)
        at = np.arange(rows.start, rows.stop, rows.step)[:len(found), None]
        columns = range(found.shape[2]) if name == "chain" else [7]
        for k, column in enumerate(columns):
            one = found[..., k] if name == "chain" else found
            one += value(e, at, np.arange(found.shape[1]), column)
        return found

reader = Filled(Path(sys.argv[1]))
began = time.process_time()
statistics = ChainStatistics(reader)
for i in range(statistics.ndim):
    print(statistics.tau(i), statistics.ess_bulk(i), statistics.ess_tail(i), statistics.r_hat(i),
          *statistics.quantiles(i))
assert not statistics.stuck.any()
statistics.thinned_log_prob(reader, 0)
took = time.process_time() - began
few = ChainStatistics(reader, [10**5] * 4)
few.moments
# ru_maxrss begins with that of the process that forked this one
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(took, int(peak[1]) / 1024, statistics.row_stride)
"""


@pytest.mark.slow
def test_fifty_million_steps_take_bounded_memory(tmp_path):
    """38 GB of draws, most of them holes."""
    n = 50_000_000 // 4
    head = header(names=("a", "b"), nwalkers=32, burnin=0, steps=(n,) * 4)
    record, path = Checkpoint(head), tmp_path / "x.h5"
    record.data["ensembles"]["steps"] = n
    record.data["ensembles"]["accepted"] = 0.4 * n
    record.seal("finished")
    with h5py.File(path, "w", libver="earliest") as file:
        lay_out(file, head)
        file["state"][0] = record.data
    try:
        assert path.stat().st_size > 3.8e10
        assert path.stat().st_blocks * 512 < 1e8
        done = subprocess.run(
            [sys.executable, "-c", LONG, path], capture_output=True, text=True, timeout=600
        )
    finally:
        path.unlink()
    assert done.returncode == 0, done.stderr
    *parameters, (took, memory, stride) = [
        list(map(float, line.split())) for line in done.stdout.splitlines()
    ]
    assert stride == -(-50_000_000 * 32 // 2**20)
    for tau, bulk, tail, r_hat, *quantiles in parameters:
        assert tau == pytest.approx(10_000, rel=0.1)
        assert bulk == pytest.approx(4 * n * 32 / 10_000, rel=0.1)
        assert 0.5 * bulk < tail < 1.5 * bulk
        assert 1 <= r_hat < 1.01
        assert quantiles == pytest.approx([0.16, 0.5, 0.84], abs=0.01)
    assert memory < 600, done.stdout  # MB; libraries take 150
    assert took < 60, done.stdout


def test_threads_find_the_same_figures(rng, monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 2 * 500 * 3 * 16)  # two quantities are read together
    reader = readable(rng, (500, 480, 500), 0.5, ndim=5)
    one, four = (summarize(ChainStatistics(reader), "hdi", threads=n) for n in (1, 4))
    assert four.all_rows == one.all_rows
    np.testing.assert_array_equal(four.offsets, one.offsets)
    np.testing.assert_array_equal(four.farthest_in, one.farthest_in)
    assert [four.tau(i) for i in range(6)] == [row.tau for row in one.all_rows]

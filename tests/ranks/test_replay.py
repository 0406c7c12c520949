"""A kill at any instant: every write of a commit is replayed, up to each point where it can end.

SIGKILL can end a process between two writes, and a long write between two pages. The writes that
HDF5 makes are recorded; then each prefix of them is applied to the file as it was, and read.
"""

import emcee
import h5py
import numpy as np
import pytest

import pmcmc.storage.output_file
from fake_run import BURNIN, COMMITS, Draws, assert_holds, header
from pmcmc.storage.file import GuardedFile
from pmcmc.storage.reader import RunReader
from pmcmc.storage.writer import RunWriter

PAGE = 4096


@pytest.fixture
def recorded(monkeypatch):
    """Record what the store writes once the log holds something, page by page; return the log."""
    log = []

    class Recorder(GuardedFile):
        def write(self, data):
            at, raw = self.tell(), bytes(data)
            start = 0
            while log and start < len(raw):
                stop = min(len(raw), start + PAGE - (at + start) % PAGE)
                log.append((at + start, raw[start:stop]))
                start = stop
            return super().write(data)

        def truncate(self, size):
            if log:
                log.append((size, None))
            return super().truncate(size)

    monkeypatch.setattr(pmcmc.storage.output_file, "GuardedFile", Recorder)
    monkeypatch.setattr(pmcmc.storage.output_file.os, "fsync", lambda handle: None)
    return log


def prefixes(before, log):
    """Give the file's bytes after each write."""
    data = bytearray(before)
    yield bytes(data)
    for at, piece in log:
        if piece is None:
            data = bytearray(bytes(data[:at]).ljust(at, b"\0"))
        else:
            data = bytearray(bytes(data).ljust(at, b"\0"))
            data[at : at + len(piece)] = piece
        yield bytes(data)


def check_emcee(path, draws, before, after):
    """Check what plain h5py and emcee's reader see: whole rows, at most a commit behind.

    Return whether the attribute status can be read.
    """
    readable = True
    with h5py.File(path) as file:
        try:
            assert file.attrs["status"] in ("running", "stopped", "finished")
        except OSError:
            readable = False
    for e in range(len(after)):
        for phase in ("burnin", "ensembles"):
            backend = emcee.backends.HDFBackend(path, name=f"{phase}/{e:04d}", read_only=True)
            counts = [
                min(n, BURNIN) if phase == "burnin" else max(0, n - BURNIN)
                for n in (before[e], after[e])
            ]
            assert backend.iteration in counts
            if backend.iteration:
                expected = draws.phase("chain", e, phase)[: backend.iteration]
                np.testing.assert_array_equal(backend.get_chain(), expected)
    return readable


@pytest.mark.parametrize(
    ("blobs", "step", "status"),
    [
        ("none", 3, "running"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("none", 1, "running"),
                ("record", 2, "running"),
                ("none", 3, "stopped"),
                ("record", len(COMMITS) - 1, "finished"),
            ]
        ),
    ],
)
def test_a_kill_at_any_write_of_a_commit_leaves_all_of_it_or_none(
    tmp_path, recorded, blobs, step, status
):
    draws = Draws(header(blobs))
    path, copy = tmp_path / "x.h5", tmp_path / "copy.h5"
    store = RunWriter(path, draws.head)
    store.create()
    done = (0, 0)
    for after in COMMITS[:step]:
        store.commit(blocks(draws, done, after))
        done = after
    before = path.read_bytes()
    recorded.append((0, b""))
    store.commit(blocks(draws, done, COMMITS[step]), status)
    log = recorded[1:]
    recorded.clear()  # from here on nothing is recorded
    seen, unreadable = set(), 0
    for data in prefixes(before, log):
        copy.write_bytes(data)
        reader = RunReader(copy)
        new = reader.sequence > step
        seen.add(new)
        assert_holds(reader, draws, COMMITS[step] if new else done)
        assert reader.status == (status if new else "running")
        unreadable += not check_emcee(copy, draws, done, COMMITS[step])
        # and from there the run goes on to the same end
        again = RunWriter(copy, draws.head)
        again.reopen(reader)
        again.commit([] if new else blocks(draws, done, COMMITS[step]), status)
        again = RunReader(copy)
        assert_holds(again, draws, COMMITS[step])
        assert again.status == status
        assert check_emcee(copy, draws, COMMITS[step], COMMITS[step])
    assert seen == {False, True}
    # HDF5 writes a text and where it is in two steps: in between only that attribute is lost
    assert unreadable <= (0 if status == "running" else 3)


def blocks(draws, before, after):
    steps = enumerate(zip(before, after, strict=True))
    return [draws.block(e, a, b) for e, (a, b) in steps if b > a]

"""Draws that a disk does not take are kept in a file of their own, and the message says where."""

import errno
import os
import re
import tempfile

import numpy as np
import pytest

import pmcmc.storage.file
from fake_run import COMMITS, write
from pmcmc.errors import StoreError


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """Give a commit that fails, with what it had to write."""
    folder = tmp_path / "output"
    folder.mkdir()
    store, draws = write(folder / "x.h5", "number", COMMITS[:2], finish=False)
    block = draws.block(0, COMMITS[1][0], COMMITS[-1][0])

    def fail(*args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(pmcmc.storage.file.os, "pwrite", fail)

    def commit():
        with pytest.raises(StoreError) as raised:
            store.commit([block])
        return str(raised.value)

    return folder, block, commit


def test_they_are_beside_the_file(failing):
    folder, block, commit = failing
    said = commit()
    assert "x.h5 cannot be written: Input/output error" in said
    (kept,) = folder.glob("x.h5.unsaved-*.npz")
    assert said.endswith(f"The draws since then are in {kept} (numpy.load)")
    with np.load(kept) as found:
        for name in ("chain", "log_prob", "blobs"):
            expected = getattr(block.kept, name)
            np.testing.assert_array_equal(found[f"ensembles/0000/{name}"], expected)
        assert found["ensembles/0000/steps"] == COMMITS[-1][0]


def test_else_they_are_in_the_folder_for_temporary_files(failing, tmp_path, monkeypatch):
    folder, _, commit = failing
    spare, replace = tmp_path / "spare", os.open
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))

    def full(path, flags, *mode):
        if "unsaved" in str(path) and str(folder) in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(path, flags, *mode)

    monkeypatch.setattr(os, "open", full)
    assert re.search(r"are in \S*/spare/x\.h5\.unsaved-\w+\.npz", commit())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert "since then" not in commit()


def test_a_commit_without_rows_leaves_none(tmp_path, failing):
    folder, block, _ = failing
    from pmcmc.storage.unsaved import save_unsaved

    assert save_unsaved(folder / "x.h5", [block.without_rows()]) is None
    assert [p.name for p in folder.iterdir()] == ["x.h5"]

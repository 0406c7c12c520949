"""A bit of the draws that changed on the disk is found, named, and not gone on with."""

import json
import os

import h5py
import numpy as np
import pytest

import pmcmc
from fake_run import BLOBS, COMMITS, write
from pmcmc.errors import StoreError
from pmcmc.storage.header import Header
from pmcmc.storage.reader import RunReader
from pmcmc.storage.verify import verify


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    return tmp_path / "x.h5"


def flip(path, name, row, bit=3):
    """Change one bit of a row, in the file itself."""
    with h5py.File(path) as file:
        data = file[name]
        size = data.dtype.itemsize * int(np.prod(data.shape[1:]))
        at = data.id.get_offset() + row * size
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


@pytest.mark.parametrize("blobs", BLOBS)
@pytest.mark.parametrize("commits", [COMMITS[:1], COMMITS[:3], COMMITS])
def test_whole_draws_of_any_kind(path, blobs, commits):
    write(path, blobs, commits, finish=False)
    assert verify(RunReader(path)) == []


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("ensembles/0000/chain", 3, "chain of ensemble 0, in rows 0 to 4"),
        ("ensembles/0001/log_prob", 0, "log_prob of ensemble 1, in rows 0 to 3"),
        ("ensembles/0001/blobs", 2, "blobs of ensemble 1, in rows 0 to 3"),
        ("burnin/0000/chain", 1, "chain of ensemble 0, in rows 0 to 2 of burn-in"),
    ],
)
def test_a_flipped_bit_is_found(path, name, row, said):
    write(path, "number")
    flip(path, name, row)
    assert [str(one) for one in verify(RunReader(path))] == [said]


def test_rows_that_are_not_committed_do_not_count(path):
    write(path, "number", COMMITS[:3], finish=False)
    flip(path, "ensembles/0000/chain", 4)
    assert verify(RunReader(path)) == []


def problem():
    return pmcmc.Problem(lambda t: -0.5 * float(t @ t), ["a", "b"], initial=[0.0, 0.0])


GIVEN = {"nwalkers": 8, "nensembles": 2, "seed": 1}


def test_a_resume_refuses_changed_draws(path):
    pmcmc.run(problem(), nsteps=40, burnin=4, output=path, **GIVEN)
    flip(path, "ensembles/0001/chain", 7, bit=0)
    before = path.read_bytes()
    with pytest.raises(
        StoreError, match=r"x\.h5 cannot be resumed: .*chain of ensemble 1, in rows"
    ):
        pmcmc.run(problem(), nsteps=60, output=path, resume=True)
    assert path.read_bytes() == before
    result = pmcmc.run(problem(), nsteps=60, output=path, resume=True, no_verify=True)
    assert sum(result.steps) == 60


@pytest.mark.parametrize("steps", [pytest.param("auto", marks=pytest.mark.slow), 200])
def test_growth_rescue_and_resumes_keep_them(path, steps):
    pmcmc.run(problem(), nsteps=steps, output=path, checkpoint=0.1, **GIVEN)
    assert verify(RunReader(path)) == []
    more = sum(pmcmc.load(path).steps) + 50
    pmcmc.run(problem(), nsteps=more, output=path, resume=True)
    assert verify(RunReader(path)) == []


def test_status_tells(launch, tmp_path):
    pmcmc.run(problem(), nsteps=40, burnin=4, output=tmp_path / "x.h5", **GIVEN)
    args = ("-m", "pmcmc", "status", "x.h5", "--verify")
    done = launch(0, *args, cwd=tmp_path)
    assert done.returncode == 0
    assert "checksums: all draws are as they were written" in done.stdout
    flip(tmp_path / "x.h5", "ensembles/0000/log_prob", 2)
    done = launch(0, *args, cwd=tmp_path)
    assert done.returncode == 1
    assert "damaged: log_prob of ensemble 0, in rows 0 to 19" in done.stdout
    told = json.loads(launch(0, *args, "--json", cwd=tmp_path).stdout)
    assert told["verified"] is False
    assert told["damaged"] == [
        {"phase": "ensembles", "ensemble": 0, "name": "log_prob", "rows": 20}
    ]


def test_a_file_without_them_is_read_and_goes_on(path, monkeypatch):
    defaults = (*Header.__init__.__defaults__[:-2], False, False)  # checksums, rejects
    monkeypatch.setattr(Header.__init__, "__defaults__", defaults)
    pmcmc.run(problem(), nsteps=40, burnin=4, output=path, **GIVEN)
    monkeypatch.undo()
    reader = RunReader(path)
    assert not reader.header.checksums
    assert not reader.rejected.any()
    assert verify(reader) is None
    assert sum(pmcmc.run(problem(), nsteps=60, output=path, resume=True).steps) == 60
    assert verify(RunReader(path)) is None

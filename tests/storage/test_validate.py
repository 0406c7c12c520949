"""No file is trusted: what is not what its header says is one line, and is not read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from conftest import clean_env
from fake_run import write
from pmcmc.errors import StoreError
from pmcmc.storage.checkpoint import checksum
from pmcmc.storage.lock import Lock, holder, lock_path
from pmcmc.storage.lock_owner import UNREADABLE
from pmcmc.storage.reader import RunReader


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Return a file to be altered; the working directory is its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    write(tmp_path / "x.h5", "number")
    return tmp_path / "x.h5"


def replace(file, name, make):
    item = file[name]
    shape, dtype = item.shape, item.dtype
    del file[name]
    make(file, name, shape, dtype)


def external(file, name, shape, dtype):
    size = int(np.prod(shape)) * dtype.itemsize
    file.create_dataset(name, shape, dtype, external=[("victim", 0, size)])


def virtual(file, name, shape, dtype):
    layout = h5py.VirtualLayout(shape, dtype)
    layout[...] = h5py.VirtualSource("other.h5", name, shape, dtype)
    file.create_virtual_dataset(name, layout)


def soft_link(file, name, shape, dtype):
    file[name] = h5py.SoftLink("/ensembles/0001/chain")


def external_link(file, name, shape, dtype):
    file[name] = h5py.ExternalLink("other.h5", name)


def chunked(file, name, shape, dtype):
    file.create_dataset(name, shape, dtype, compression="gzip")


def objects(file, name, shape, dtype):
    file.create_dataset(name, shape, h5py.string_dtype())


def huge(file, name, shape, dtype):
    file.create_dataset(name, (10**12, *shape[1:]), dtype, chunks=(1, *shape[1:]))


DATASETS = [
    "ensembles/0000/chain",
    "burnin/0001/log_prob",
    "ensembles/0001/blobs",
    "ensembles/0000/accepted",
    "state",
]
WAYS = {
    external: "has its values in another file",
    virtual: "is chunked or virtual",
    soft_link: "is a link, to another place or file",
    external_link: "is a link, to another place or file",
    chunked: "is chunked or virtual",
    objects: "",
    huge: "is chunked or virtual",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", DATASETS)
def test_datasets_that_are_not_plain(path, name, way):
    Path("victim").write_bytes(b"precious" * 100)
    with h5py.File(path, "r+") as file:
        replace(file, name, way)
    with pytest.raises(StoreError, match=rf"^x\.h5 is damaged: .*{WAYS[way]}"):
        RunReader(Path("x.h5"))
    assert Path("victim").read_bytes() == b"precious" * 100


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("nwalkers", 10**12, r"chain has shape \(3, 4, 2\): expected \(step, 1000000000000, 2\)"),
        ("nwalkers", "four", "the attribute nwalkers of / is .*: expected an integer"),
        ("nensembles", 2**60, "the attribute nensembles is .*: expected 1 to"),
        ("thin_by", 0, "the attribute thin_by is 0: expected 1 to"),
        ("seed", -1, "the attribute seed is -1: expected 0 to"),
        ("problem", np.zeros(3), "the attribute problem of / is .*: expected a text"),
        ("config", "[" * 10**5, "recursion"),
        ("config", "[1]", "its options or settings are no JSON object"),
        ("config", '{"until_ess": "much"}', "its options cannot be: until_ess"),
        ("settings", b"{\xff\xfe", "the attribute settings of / is no UTF-8"),
        ("config", None, "the attribute config of / is missing"),
    ],
)
def test_attributes(path, name, value, message):
    with h5py.File(path, "r+") as file:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value
    with pytest.raises(StoreError, match=f"^x\\.h5 is damaged: .*{message}"):
        RunReader(Path("x.h5"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", 10**12, "says 1000000000000 steps of ensemble 0, which has room for 8"),
        ("steps", -1, "says -1 steps of ensemble 0"),
        ("accepted", np.nan, "counts in accepted that are no number of steps"),
        ("burnin_accepted", 99.0, "counts in burnin_accepted that are no number of steps"),
        ("pos", 10**9, "a random state that numpy cannot be in"),
        ("has_gauss", 7, "a random state that numpy cannot be in"),
    ],
)
def test_records_with_a_right_checksum(path, field, value, message):
    with h5py.File(path, "r+") as file:
        state = file["state"][...]
        for slot in state:
            where = slot["ensembles"]
            (where["random"] if field in ("pos", "has_gauss") else where)[field][...] = value
            slot["crc"] = checksum(slot)
        file["state"][...] = state
    with pytest.raises(StoreError, match=f"^x\\.h5 is damaged: its record .*{message}"):
        RunReader(Path("x.h5"))


def test_a_file_without_parameters(path):
    with h5py.File(path, "r+") as file:
        del file["parameter_names"]
        file.create_dataset("parameter_names", (0,), h5py.string_dtype())
    with pytest.raises(StoreError, match=r"parameter_names is object of .*: expected 2 texts"):
        RunReader(Path("x.h5"))


def test_text_is_shown_without_control_characters(path):
    with h5py.File(path, "r+") as file:
        file.attrs["problem"] = "x\nenough: \x1b[2J" + "y" * 1000
        file["parameter_names"][0] = "a\nenough: all is well"
    header = RunReader(Path("x.h5")).header
    assert header.problem.startswith("x\\nenough: \\x1b[2Jy")
    assert len(header.problem) < 250
    assert header.names[0] == "a\\nenough: all is well"


@pytest.mark.parametrize("what", ["fifo", "folder", "nested", "list", "huge", "control"])
def test_locks_of_strangers(path, what):
    lock = lock_path(path)
    mine = Lock(path).writer
    text = {"nested": "[" * 10**6, "list": "[1, 2]", "huge": "x" * 10**7}.get(what)
    if what == "fifo":
        os.mkfifo(lock)
    elif what == "folder":
        lock.mkdir()
    elif what == "control":
        lock.write_text(json.dumps(json.loads(mine.text()) | {"host": "h\x1b[2J\nenough:"}))
    else:
        lock.write_text(text)
    found = holder(path)
    if what == "folder":
        assert found is None or found[0].token == UNREADABLE
    elif what == "control":
        assert "\x1b" not in str(found[0])
        assert "\n" not in str(found[0])
    else:
        assert found[0].token == UNREADABLE


@pytest.mark.slow
def test_a_campaign_of_attacks():
    """The short version of `python tests/attack.py`, which says what it does."""
    script = Path(__file__).parents[1] / "attack.py"
    done = subprocess.run(
        [
            sys.executable,
            str(script),
            *[
                "--files",
                "30",
                "--models",
                "8",
                "--pools",
                "3",
                "--streams",
                "8",
                "--seed",
                "7000",
            ],
        ],
        env=clean_env() | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr

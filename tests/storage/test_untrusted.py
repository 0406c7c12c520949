"""HDF5 loops for ever over a damaged heap of texts: such a heap is never handed to it."""

import struct
import subprocess
import sys

import h5py
import pytest

from conftest import clean_env
from fake_run import write
from pmcmc.errors import StoreError
from pmcmc.storage import untrusted
from pmcmc.storage.reader import RunReader
from pmcmc.storage.untrusted import open_untrusted

SECONDS = 60  # a process that loops is ended after that


def heaps(data):
    """Return where the heaps of a file begin, and where the objects of each."""
    found, at = {}, -1
    while (at := data.find(b"GCOL\x01\0\0\0", at + 1)) >= 0:
        end = at + struct.unpack_from("<Q", data, at + 8)[0]
        objects, place = [], at + 16
        while end - place >= 16:
            objects.append(place)
            number, size = struct.unpack_from("<H6xQ", data, place)
            place += 16 + (size + 7) // 8 * 8 if number else size
        found[at] = objects
    return found


def alter(path, way):
    data = bytearray(path.read_bytes())
    at, objects = next(iter(heaps(data).items()))
    if way == "free space of no size":
        struct.pack_into("<H6xQ", data, objects[-1], 0, 0)
    elif way == "a size that leads back":
        struct.pack_into("<Q", data, objects[1] + 8, 2**64 - 16)
    elif way == "an object past the end":
        struct.pack_into("<Q", data, objects[0] + 8, 1 << 20)
    else:
        struct.pack_into("<Q", data, at + 8, 1 << 40)
    path.write_bytes(data)


WAYS = ["free space of no size", "a size that leads back", "an object past the end",
        "a heap past the end of the file"]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_damaged_heaps(tmp_path, way):
    write(tmp_path / "x.h5", "number")
    alter(tmp_path / "x.h5", way)
    # in a process of its own: what fails here does not end
    code = "from pathlib import Path; from pmcmc.storage.reader import RunReader\n"
    code += "RunReader(Path('x.h5'))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=clean_env(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert run.returncode == 1
    assert "StoreError: x.h5 is damaged: the texts at byte " in run.stderr


def test_an_address_that_no_file_has(tmp_path):
    """HDF5 seeks whatever address a file gives; that is no error of ours."""
    (tmp_path / "x").write_bytes(bytes(100))
    with untrusted._WatchedFile(tmp_path / "x") as disk:
        assert disk.seek(2**63 + 8) == disk.tell() == 2**63 + 8
        assert disk.readinto(memoryview(bytearray(8))) == 0
        assert disk.seek(0, 2) == 100
        assert disk.seek(-10, 1) == 90
        assert disk.readinto(memoryview(bytearray(20))) == 10


def test_texts_that_look_like_a_heap(tmp_path):
    write(tmp_path / "x.h5", "number")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file.attrs["problem"] = "GCOL GCOL\x01 of the GCOLs"
        file.attrs["config"] = "GCOL" * 5000  # a heap of its own
    with open_untrusted(tmp_path / "x.h5") as file:
        assert file.attrs["config"] == "GCOL" * 5000
        assert file.attrs["problem"].startswith("GCOL GCOL")


def test_heaps_of_a_sound_file(tmp_path):
    write(tmp_path / "x.h5", "number")
    assert heaps((tmp_path / "x.h5").read_bytes())
    RunReader(tmp_path / "x.h5").timings()


def test_no_file(tmp_path):
    (tmp_path / "x.h5").write_text("no HDF5")
    with pytest.raises(StoreError, match="cannot be read as an HDF5 file"):
        RunReader(tmp_path / "x.h5")

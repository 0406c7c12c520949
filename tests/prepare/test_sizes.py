"""Sizes that no machine has are refused before anything is allocated; a small disk is said."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pmcmc
from conftest import clean_env
from fake_run import header
from pmcmc.errors import UsageError
from pmcmc.prepare.sizes import check_sizes, room_remark


def problem(**more):
    return pmcmc.Problem(lambda t: -0.5 * float(t @ t), ["a", "b"], initial=[0.0, 0.0], **more)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nsteps": 1e300}, "nsteps: expected a whole number of at most 1000000000000000, or"),
        ({"nsteps": 2**63 - 1}, "nsteps: expected a whole number of at most 1000000000000000"),
        ({"burnin": 10**16}, "burnin: expected a whole number of at most 1000000000000000"),
        ({"nwalkers": 10**12}, "nwalkers: expected a whole number from 2 to 100000000"),
        ({"nensembles": 10**12}, "nensembles: expected a whole number from 1 to 1000000"),
        ({"thin_by": 1e20}, "thin_by: expected a whole number of at most"),
        ({"nwalkers": 10**8}, r"the state of 4 ensembles of 100000000 walkers takes 16 GB, and"),
        ({"nsteps": 10**15, "nwalkers": 32}, "steps of 32 walkers after .* take 768 PB"),
    ],
)
def test_what_no_machine_has_is_refused_with_numbers(options, message, tmp_path):
    if "768" in message:
        options["nwalkers"] = 64
        message = message.replace("32", "64").replace("768 PB", "1.54 EB")
    with pytest.raises(UsageError, match=message):
        pmcmc.run(problem(), output=tmp_path / "x.h5", **{"nsteps": 10, "burnin": 0, **options})
    assert list(tmp_path.iterdir()) == []


def test_blobs_whose_record_is_too_large_are_refused():
    head = header(names=("a", "b"), nwalkers=32, burnin=0, steps=(10,) * 4)
    check_sizes(head)
    with pytest.raises(UsageError, match="smaller blobs"):
        check_sizes(_with_blobs(head, 2_100_000))


def _with_blobs(head, numbers):
    from dataclasses import replace

    import numpy as np

    return replace(head, blobs_dtype=np.dtype("f8"), blobs_shape=(numbers,))


def test_a_disk_with_less_room_than_the_draws_will_take_is_said(tmp_path, monkeypatch):
    head = header(names=("a", "b"), nwalkers=32, burnin=0, steps=(10_000,) * 4)
    path = tmp_path / "x.h5"
    assert room_remark(head, path) is None
    real = os.statvfs(tmp_path)

    class Small:
        f_bavail, f_frsize = 1000, 4096

    monkeypatch.setattr(os, "statvfs", lambda folder: Small)
    assert real.f_bavail > 1000
    told = room_remark(head, path)
    assert told.startswith("the draws will take 30.7 MB in the end, and the disk of x.h5 has 4.1")
    with pytest.warns(RuntimeWarning, match="the draws will take"):
        pmcmc.run(problem(), nsteps=40_000, burnin=0, dry_run=None, output=path, max_time=0.2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("n" * 300 + ".h5", r"has 303 bytes: give one of at most 23\d with output"),
        ("é" * 120 + ".h5", r"has 243 bytes: give one of at most 23\d"),
        ("loop.h5", "cannot be written: "),
        ("no\0name.h5", "output: expected a file name"),
    ],
)
def test_names_that_no_file_can_have(name, message, tmp_path):
    (tmp_path / "loop.h5").symlink_to("loop.h5")
    with pytest.raises(UsageError, match=message):
        pmcmc.run(problem(), nsteps=10, burnin=0, output=tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["loop.h5"]


def test_a_name_that_is_not_utf_8(tmp_path):
    name = os.fsdecode(b"caf\xe9.h5")
    pmcmc.run(problem(), nsteps=40, burnin=0, output=tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "pmcmc", "summary", name],
        cwd=tmp_path,
        env=clean_env() | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).exists()


def test_a_config_that_is_nested_too_deep(tmp_path):
    (tmp_path / "c.toml").write_text("nsteps = " + "[" * 100_000)
    done = subprocess.run(
        [sys.executable, "-m", "pmcmc", "run", "line", "--config", "c.toml"],
        cwd=tmp_path,
        env=clean_env() | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("pmcmc: error: the config file c.toml is ")
    assert "Traceback" not in done.stderr
    assert list(Path(tmp_path).glob("*.h5")) == []

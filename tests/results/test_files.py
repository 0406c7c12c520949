"""Pages and pictures replace only what pmcmc made; the old one stays until the new is whole."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import pmcmc
from conftest import clean_env
from pmcmc.cli import commands
from pmcmc.errors import UsageError
from pmcmc.results.files import write_file
from pmcmc.results.html import MADE_BY

OWN = f'<!DOCTYPE html><meta name="generator" content="{MADE_BY}">'.encode()


def test_its_own_is_replaced_and_another_s_is_not(tmp_path):
    path = tmp_path / "new" / "x.html"
    write_file(path, OWN)
    write_file(path, OWN + b"2")
    assert path.read_bytes() == OWN + b"2"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"x.html was not made by pmcmc, and nothing was changed"):
        write_file(path, OWN)
    assert path.read_bytes() == b"mine"
    write_file(path, OWN, overwrite=True)
    assert path.read_bytes() == OWN
    assert [p.name for p in path.parent.iterdir()] == ["x.html"]


def test_a_pipe_or_an_empty_link_is_not_waited_for_nor_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(UsageError, match="was not made by pmcmc"):
        write_file(tmp_path / "pipe", OWN)
    write_file(tmp_path / "link", OWN)
    assert (tmp_path / "elsewhere").read_bytes() == OWN
    assert (tmp_path / "link").is_symlink()


def test_a_write_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "x.html"
    write_file(path, OWN)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UsageError, match=r"x.html cannot be written: No space left on device"):
        write_file(path, OWN + b"2")
    assert path.read_bytes() == OWN
    assert [p.name for p in tmp_path.iterdir()] == ["x.html"]


def command(tmp_path, *words, **env):
    return subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env=clean_env() | {"PYTHONPATH": os.pathsep.join(sys.path)} | env,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def sampled(tmp_path):
    problem = pmcmc.Problem(lambda t: -0.5 * float(t @ t), ["a", "b"], initial=[0.0, 0.0])
    pmcmc.run(problem, nsteps=400, burnin=5, nwalkers=8, seed=1, output=tmp_path / "x.h5")
    return tmp_path / "x.h5"


@pytest.mark.slow
def test_report_and_plot_know_their_own(tmp_path, sampled, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commands.plot([sampled], Path("."), ["a"], [], "png", False, 0, 1)
    commands.report(sampled, None, False, 0, 1)
    capsys.readouterr()
    (tmp_path / "x-trace.png").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"x-trace.png was not made by pmcmc"):
        commands.plot([sampled], Path("."), ["a"], [], "png", False, 0, 1)
    assert (tmp_path / "x-trace.png").read_bytes() == b"mine"
    commands.plot([sampled], Path("."), ["a"], [], "png", True, 0, 1)
    commands.report(sampled, None, False, 0, 1)
    assert (tmp_path / "x-trace.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_python_without_docstrings_and_assertions(tmp_path):
    words = ("-OO", "-m", "pmcmc")
    for more in (["line", "--nsteps", "40", "--burnin", "5"], ["summary", "line.h5"]):
        done = command(tmp_path, *words, *more)
        assert (done.returncode, done.stderr) == (0, ""), done


def test_draws_that_are_no_numbers_are_said_by_every_command(tmp_path, sampled):
    with h5py.File(sampled, "r+") as file:
        file["ensembles/0001/chain"][3, 2, 1] = np.nan
        file["ensembles/0001/log_prob"][3, 2] = -np.inf  # may be: a walker's start
    line = (
        "draws in x.h5 are NaN or infinite (1 of b), which no run writes: the file was "
        "changed (see: status --verify)\n"
    )
    for words in (("summary",), ("export", "--format", "csv")):
        done = command(tmp_path, "-m", "pmcmc", words[0], "x.h5", *words[1:])
        assert (done.returncode, done.stderr) == (0, f"note: {line}"), done
    done = command(tmp_path, "-m", "pmcmc", "status", "x.h5")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert f"note: {line}" in done.stdout
    for name in ("report", "plot"):
        done = command(tmp_path, "-m", "pmcmc", name, "x.h5")
        assert (done.returncode, done.stderr) == (1, f"pmcmc: error: no pictures: {line}"), done

"""A folder of a rank's own, an environment without the launcher's, and where a rank is."""

import os
import subprocess
import sys
import time

import pytest

import pmcmc
from pmcmc.errors import ModelError, UsageError
from pmcmc.launchers import without_launcher
from pmcmc.model import external, ranks
from pmcmc.model.template import STYLES, template_text, write_template


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.setattr(external, "_folders", {})
    monkeypatch.setattr(external, "_keep", [False])
    monkeypatch.setattr(external.tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(ranks, "_now", [ranks.RankInfo()])
    yield
    external.remove_scratch()


def test_it_is_one_folder_until_the_end():
    folder = pmcmc.scratch()
    assert folder == pmcmc.scratch()
    assert folder.is_dir()
    (folder / "input.txt").write_text("1")
    elsewhere = pmcmc.scratch(folder / "deeper")
    assert elsewhere.parent == folder / "deeper"
    external.remove_scratch()
    assert not folder.exists()


def test_kept_folders_stay():
    folder = pmcmc.scratch()
    external.keep_scratch(True)
    assert external.kept_scratch() == [folder]
    external.remove_scratch()
    assert folder.is_dir()


CHILD = "import os, sys, pmcmc; print(pmcmc.scratch(sys.argv[1]), flush=True); "


def test_a_process_removes_its_own_and_what_the_killed_left(tmp_path):
    def child(end):
        return subprocess.run([sys.executable, "-c", CHILD + end, tmp_path], capture_output=True,
                              text=True, check=False).stdout.strip()  # fmt: skip

    assert not os.path.exists(child("pass"))
    left = child("os.kill(os.getpid(), 9)")
    assert os.path.exists(left)
    young = child("os.kill(os.getpid(), 9)")
    long_ago = time.time() - 1000
    os.utime(left, (long_ago, long_ago))
    mine = pmcmc.scratch(tmp_path)  # of a process that lives
    os.utime(mine, (long_ago, long_ago))
    child("pass")
    assert not os.path.exists(left)
    assert os.path.exists(young)
    assert mine.exists()


def test_a_forked_child_has_one_of_its_own():
    folder = pmcmc.scratch()
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(write, str(pmcmc.scratch()).encode())
        external.remove_scratch()
        os._exit(0)
    os.waitpid(pid, 0)
    other = os.read(read, 10_000).decode()
    os.close(read)
    os.close(write)
    assert os.path.dirname(other) == str(folder)
    assert not os.path.exists(other)
    assert folder.is_dir()


def test_where_none_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"scratch\(\) cannot make a folder in .*set TMPDIR"):
        pmcmc.scratch(tmp_path / "file")


def test_a_program_does_not_take_itself_for_a_rank():
    launched = {
        "PMI_RANK": "1", "PMIX_NAMESPACE": "a", "HYDI_CONTROL_FD": "7", "MPI_LOCALRANKID": "0",
        "OMPI_COMM_WORLD_RANK": "1", "OMPI_MCA_num_procs": "2", "SLURM_STEP_ID": "0",
        "SLURM_PROCID": "1",
    }  # fmt: skip
    mine = {"OMPI_MCA_btl": "self", "SLURM_JOB_ID": "3", "PATH": "/bin", "HYDRA_LAUNCHER": "fork"}
    assert without_launcher(launched | mine) == mine


def test_where_the_ranks_are():
    assert pmcmc.rank_info() == pmcmc.RankInfo()
    ranks.note_ranks(["a", "b", "a", "b", "a"], 4)
    ranks.note_team(2)
    assert pmcmc.rank_info() == pmcmc.RankInfo(4, 5, 2, 2, 3, "a", ("a", "b"))


@pytest.mark.parametrize("style", STYLES)
def test_templates_are_models(style, tmp_path):
    path = tmp_path / "my models" / "fit.py"
    write_template(style, path)
    assert f"python -m pmcmc '{path}'" in path.read_text()
    problem = pmcmc.Problem.load(str(path))
    _, value = problem.probe()
    assert value < 0
    if style == "external":
        assert "two ranks that write the same file" in template_text(style, path)
    with pytest.raises(UsageError, match="init replaces no file"):
        write_template(style, path)


def test_what_init_does_not_write(tmp_path):
    with pytest.raises(UsageError, match=r"expected FILE\.py, got .*model"):
        write_template("priors", tmp_path / "model")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        write_template("priors", tmp_path / "file" / "model.py")

"""Models that run other programs, on real ranks."""

import json

import pytest

MODEL = """
import json, os, subprocess, sys
import numpy as np
import pmcmc
parameters, initial, nwalkers = ["a", "b"], [0.1, 0.2], 8
at_import = pmcmc.rank_info()

def log_prob(theta):
    folder, info = pmcmc.scratch(), pmcmc.rank_info()
    about = {"folder": str(folder), "rank": info.rank, "team": info.team, "size": info.size,
             "local": info.local_rank, "hosts": len(info.hosts), "import": at_import.team,
             "import size": at_import.size}
    with open(os.environ["HERE"] + f"/{info.rank}.json", "w") as file:
        json.dump(about, file)
    np.savetxt(folder / "in.txt", theta)
    code = "import numpy as np; np.savetxt('out.txt', [-(np.loadtxt('in.txt') ** 2).sum()])"
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=pmcmc.clean_env(), check=True)
    return float(np.loadtxt(folder / "out.txt"))
"""
NESTED = """
import subprocess, sys
import pmcmc
parameters, initial, nwalkers = ["a"], [0.1], 4
CODE = "from mpi4py import MPI; print(MPI.COMM_WORLD.Get_size())"

def log_prob(theta):
    done = subprocess.run([sys.executable, "-c", CODE], env=pmcmc.clean_env(), text=True,
                          capture_output=True, check=True)
    assert done.stdout.strip() == "1"
    return -0.5 * theta[0] ** 2
"""


@pytest.mark.parametrize("keep", [False, True])
def test_each_rank_has_a_folder_of_its_own(launch, tmp_path, keep):
    (tmp_path / "m.py").write_text(MODEL)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    job = launch(
        3, "-m", "pmcmc", "m.py", "--nsteps", 2, "--burnin", 0, "--mode", "pool",
        *(["--keep-scratch"] if keep else []),
        cwd=tmp_path, env={"TMPDIR": str(scratch), "HERE": str(tmp_path)},
    )  # fmt: skip
    assert job.returncode == 0, job.stderr
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(3)]
    assert len({one["folder"] for one in found}) == 3
    assert [(one["rank"], one["local"], one["team"]) for one in found] == [
        (0, 0, 0), (1, 1, 0), (2, 2, 0),
    ]  # fmt: skip
    assert all(one["size"] == one["import size"] == 3 and one["hosts"] == 1 for one in found)
    assert all(one["import"] is None for one in found)
    assert len(list(scratch.glob("pmcmc-scratch-*"))) == (3 if keep else 0)
    assert ("scratch folders are kept, as" in job.stdout) == keep


def test_a_program_that_uses_mpi_is_a_world_of_its_own(launch, tmp_path):
    (tmp_path / "m.py").write_text(NESTED)
    job = launch(
        2, "-m", "pmcmc", "m.py", "--nsteps", 2, "--burnin", 0, "--nensembles", 2, cwd=tmp_path
    )
    assert job.returncode == 0, job.stderr

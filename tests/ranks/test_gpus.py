"""Each rank sees its GPU before the model loads; with a made-up list of devices."""

import pytest

MODEL = """
import os
import pmcmc
seen = os.environ["CUDA_VISIBLE_DEVICES"]
parameters, initial, nwalkers = ["a"], [0.1], 4
with open(f"{pmcmc.rank_info().rank}.txt", "w") as file:
    file.write(seen)
def log_prob(theta):
    return -0.5 * theta[0] ** 2
"""


@pytest.mark.parametrize(
    ("gpus", "expected"), [("auto", "0101"), ("1", "0000"), ("none", ["", "", "", ""])]
)
def test_ranks_take_devices_in_turn(launch, tmp_path, gpus, expected):
    (tmp_path / "m.py").write_text(MODEL)
    args = ["--nsteps", 4, "--burnin", 0, "--gpus", gpus]
    done = launch(
        4, "-m", "pmcmc", "m.py", *args, cwd=tmp_path, env={"CUDA_VISIBLE_DEVICES": "0,1"}
    )
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in range(4)] == list(expected)
    assert "note: GPUs: " in done.stdout


def test_more_than_there_are(launch, tmp_path):
    (tmp_path / "m.py").write_text(MODEL)
    done = launch(
        2, "-m", "pmcmc", "m.py", "--gpus", 3, cwd=tmp_path, env={"CUDA_VISIBLE_DEVICES": "0,1"}
    )
    assert done.returncode == 2
    assert "shows 2 devices: ask for as many, or --gpus auto" in done.stderr
    assert not (tmp_path / "0.txt").exists()


def test_the_doctor_compares_them_with_ranks(launch, tmp_path):
    done = launch(4, "-m", "pmcmc", "doctor", cwd=tmp_path, env={"CUDA_VISIBLE_DEVICES": "0,1"})
    assert "has 4 ranks for 2 GPUs" in done.stdout
    assert "XLA_PYTHON_CLIENT_PREALLOCATE=false" in done.stdout

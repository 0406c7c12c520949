"""Every example and every README command is really run."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT


def test_line_example_is_the_built_in_line():
    from pmcmc.builtin import line

    assert (ROOT / "examples/line.py").read_text() == Path(line.__file__).read_text()


def test_line_has_the_data_of_the_article():
    from pmcmc.builtin import line

    np.random.seed(123)  # as there
    x = np.sort(10 * np.random.rand(50))
    yerr = 0.1 + 0.5 * np.random.rand(50)
    y = -0.9594 * x + 4.294
    y += np.abs(0.534 * y) * np.random.randn(50)
    y += yerr * np.random.randn(50)
    np.testing.assert_array_equal(line.x, x)
    np.testing.assert_array_equal(line.yerr, yerr)
    np.testing.assert_array_equal(line.y, y)


def test_line_example_runs(launch, tmp_path):
    done = launch(
        2, "-m", "pmcmc", ROOT / "examples/line.py", "--nsteps", 200, "--burnin", 20, cwd=tmp_path
    )
    assert done.returncode == 0, done
    assert (tmp_path / "line.h5").exists()


def test_python_api_example_runs(launch, tmp_path):
    for ranks in (0, 3):
        done = launch(ranks, ROOT / "examples/line_python_api.py", cwd=tmp_path)
        assert done.returncode == 0, done
        assert "128000 draws" in done.stdout
        assert done.stderr == ""


def readme_commands():
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [
        c for block in blocks for c in block.splitlines() if not c.startswith("python3 -m venv")
    ]


@pytest.mark.slow
def test_readme_commands_run(launch, tmp_path):
    assert len(readme_commands()) >= 3
    text = (ROOT / "README.md").read_text()
    model = re.search(r"```python\n(# model.py\n.*?)```", text, re.S)
    (tmp_path / "model.py").write_text(model[1])
    from pmcmc.builtin import line

    np.savetxt(tmp_path / "data.txt", np.transpose([line.x, line.y, line.yerr]))
    most = 16  # once: each is a process on these few cores
    for command in readme_commands():
        words = shlex.split(command)
        ranks = 0
        if words[0] == "mpiexec":
            ranks, words = min(int(words[2]), most), words[3:]
            most = 4
        assert words[0] == "python"
        done = launch(ranks, *words[1:], cwd=tmp_path)
        assert done.returncode == 0, done
        if ranks and words[3] == "model.py" and "--resume" not in words:
            assert f"{ranks} teams of 1 rank" in done.stdout
            assert done.stderr == ""


def test_readme_python_works(launch, tmp_path):
    text = (ROOT / "README.md").read_text()
    load, script = re.findall(r"```python\n(.*?)```", text, re.S)[2:4]
    head = "import numpy as np\nx = y = np.arange(3.0)\np0 = [0.0, 0.0]\n"
    head += "def log_prob(t, x, y): return -0.5 * np.sum((y - t[0] * x - t[1]) ** 2)\n"
    (tmp_path / "script.py").write_text("import pmcmc\n" + head + script)
    assert launch(2, "script.py", cwd=tmp_path).returncode == 0
    shutil.copy(tmp_path / "line.h5", tmp_path / "model.h5")
    (tmp_path / "load.py").write_text(load)
    done = launch(0, "load.py", cwd=tmp_path)
    assert done.returncode == 0, done


def test_every_option_is_in_the_readme():
    from pmcmc.options import OPTIONS

    text = (ROOT / "README.md").read_text()
    for name in OPTIONS:
        assert f"`--{name.replace('_', '-')}" in text

"""Notebooks: cells that start ranks, in a real Jupyter kernel."""

import asyncio
import os
import signal
import tempfile
import time

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from processes import started, wait_until_gone

import pmcmc
from conftest import ROOT, clean_env

PROBLEM = """
import time, numpy as np, pmcmc
data = np.ones(DATA)
SLEEP = 0.0
def log_prob(theta):
    time.sleep(SLEEP)
    return -0.5 * float(theta @ theta) * data[0]
problem = pmcmc.Problem(log_prob, ["a", "b"], initial=[0.0, 0.0])
RUN = dict(nsteps=240, burnin=5, nensembles=6, nwalkers=8, seed=1)
"""


@pytest.fixture(autouse=True)
def alone(launch, monkeypatch, tmp_path):
    for name in set(os.environ) - set(clean_env()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = started()
    yield
    wait_until_gone(started() - before, 15)
    assert not list(tmp_path.glob("pmcmc-*"))


def execute(folder, *cells, data=10):
    """Run cells in a kernel of their own; return the notebook."""
    cells = [PROBLEM.replace("DATA", str(data)), *cells]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return book


def outputs(cell, kind):
    return [o["data"][kind] for o in cell["outputs"] if kind in o.get("data", {})]


def text(cell):
    return "".join(o.get("text", "") for o in cell["outputs"])


def test_a_cell_starts_ranks_and_shows_the_result(tmp_path):
    book = execute(
        tmp_path,
        "began = time.time()\n"
        "result = pmcmc.run(problem, ranks=2, **RUN)\n"
        "print(result.status, result.path, sum(result.steps))\n"
        "result",
        "problem",
        data=12_500_000,
    )
    cell = book.cells[1]
    assert "finished None 240" in text(cell)
    page = outputs(cell, "text/html")[-1]
    assert "not enough" in page
    assert "data:image/png" in page  # a corner
    assert ">mcse</th>" in page
    assert ">start</th>" in outputs(book.cells[2], "text/html")[-1]
    bars = [o for o in cell["outputs"] if "widget" in str(o.get("data", {})) or "step" in str(o)]
    assert bars  # tqdm: a widget, or text where there are none


@pytest.mark.slow
def test_an_error_in_a_cell(tmp_path):
    with pytest.raises(CellExecutionError) as caught:
        execute(
            tmp_path,
            "def log_prob(theta):\n"
            "    return 1 / (theta[0] < 0.5) - 0.5 * theta @ theta\n"
            "problem = pmcmc.Problem(log_prob, ['a', 'b'], initial=[0.0, 0.0])\n"
            "pmcmc.run(problem, ranks=2, **RUN)",
        )
    said = str(caught.value)
    assert "EvaluationError" in said
    assert "RuntimeWarning: divide by zero" in said or "+inf" in said
    assert "on rank" in said


@pytest.mark.slow
def test_a_run_shows_itself_until_its_end(tmp_path):
    book = execute(
        tmp_path,
        "SLEEP = 0.001\nrun = pmcmc.start(problem, ranks=2, **RUN)\nrun",
        "print(run.wait().status)\n[view.join() for view in run._views]",
    )
    page = outputs(book.cells[1], "text/html")[-1]
    assert "problem on 2 ranks</b>: finished" in page
    assert ">mcse</th>" in page  # the draws
    assert "finished" in text(book.cells[2])


@pytest.mark.slow
def test_two_runs_at_once(tmp_path):
    book = execute(
        tmp_path,
        "runs = [pmcmc.start(problem, ranks=2, **RUN) for _ in range(2)]\n"
        "a, b = [run.wait() for run in runs]\n"
        "print((a.get_chain() == b.get_chain()).all())",
    )
    assert "True" in text(book.cells[1])


class Kernel:
    """A kernel under our hands: cells are sent, interrupted, and killed with it."""

    def __init__(self, folder):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.said = ""

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def run(self, code):
        """Execute a cell and wait for it."""
        self.client.execute_interactive(code, timeout=120, output_hook=self._hear)

    def send(self, code):
        """Execute a cell and go on."""
        return self.client.execute(code)

    def wait(self, number):
        """Wait for the end of a cell that was sent."""
        while True:
            reply = self.client.get_shell_msg(timeout=120)
            if reply["parent_header"].get("msg_id") == number:
                break
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            self._hear(message)
            idle = message["content"].get("execution_state") == "idle"
            if idle and message["parent_header"].get("msg_id") == number:
                return

    def _hear(self, message):
        self.said += message["content"].get("text", "")


def begun(path):
    limit = time.monotonic() + 60
    while not (path.exists() and sum(pmcmc.load(path).steps)):
        assert time.monotonic() < limit
        time.sleep(0.05)


@pytest.mark.slow
def test_the_stop_button_and_going_on(tmp_path):
    with Kernel(tmp_path) as kernel:
        kernel.run(PROBLEM.replace("DATA", "10").replace("SLEEP = 0.0", "SLEEP = 0.002"))
        number = kernel.send(
            "r = pmcmc.run(problem, ranks=2, output='x.h5', checkpoint=0.1, **RUN)\n"
            "print('it is', r.status)"
        )
        begun(tmp_path / "x.h5")
        kernel.manager.interrupt_kernel()
        kernel.wait(number)
        assert "it is stopped" in kernel.said
        kernel.run(
            "SLEEP = 0.0\n"
            "r = pmcmc.run(problem, ranks=2, output='x.h5', resume=True)\n"
            "print('then', r.status, sum(r.steps))"
        )
        assert "then finished 240" in kernel.said


def test_a_kernel_that_is_killed_leaves_a_commit_and_nothing_that_runs(tmp_path):
    with Kernel(tmp_path) as kernel:
        kernel.run(PROBLEM.replace("DATA", "10").replace("SLEEP = 0.0", "SLEEP = 0.002"))
        kernel.send("r = pmcmc.run(problem, ranks=2, output='x.h5', checkpoint=0.1, **RUN)")
        begun(tmp_path / "x.h5")
        pid = kernel.manager.provisioner.pid
        ranks = started(pid)
        assert len(ranks) >= 3
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(ranks, 10)
        assert pmcmc.load(tmp_path / "x.h5").status == "stopped"
        asyncio.set_event_loop(None)


@pytest.mark.slow
def test_the_article_again(tmp_path):
    """examples/article.ipynb: every cell runs, and the draws are equal, bit for bit."""
    book = nbformat.read(ROOT / "examples" / "article.ipynb", 4)
    kept = "".join(text(cell) for cell in book.cells if cell["cell_type"] == "code")
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, timeout=300, resources=resources).execute()
    said = "".join(text(cell) for cell in book.cells if cell["cell_type"] == "code")
    for shown in (kept, said):
        assert "two ranks and one: True" in shown
        assert shown.count("and plain emcee: True") == 2
        assert "pmcmc, 2 ranks as a pool" in shown
    assert "enough: ESS" in outputs(book.cells[-1], "text/plain")[-1]

"""What tests share: starting real ranks, and a folder of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser):
    parser.addoption(
        "--complete",
        action="store_true",
        help="also the slow tests; a missing MPI or Slurm is a failure, not a skip",
    )


LONG = ("cluster", "statistics", "ranks")  # first: at the end they would keep one worker alone


def pytest_collection_modifyitems(config, items):
    """Leave the slow tests out, unless they are asked for: all, by -m, or one by its name."""
    items.sort(key=lambda item: [name not in item.path.parts for name in LONG])
    by_name = any("::" in argument for argument in config.args)
    if config.getoption("complete") or config.getoption("markexpr") or by_name:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in set(slow)]


def slow_but(quick, cases):
    """Return the cases of a parametrized test, marked slow but for the quick ones."""
    quick, rows = list(quick), [c if isinstance(c, tuple) else (c,) for c in cases]
    return [
        pytest.param(*row, marks=[] if case in quick else pytest.mark.slow)
        for row, case in zip(rows, cases, strict=True)
    ]


@dataclass(frozen=True)
class Launcher:
    """Starts ranks with the mpiexec that belongs to an interpreter's MPI."""

    python: str
    mpiexec: str
    openmpi: bool

    def killed_by(self, number: int) -> int:
        """Return mpiexec's exit status where a signal ended a rank."""
        return 128 + number if self.openmpi else number

    def __call__(
        self, n: int, *args: object, cwd: Path, timeout: float = 300, env: dict | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python args`` on n ranks (n = 0: without mpiexec), within ``timeout`` seconds."""
        command = [self.python, *map(str, args)]
        if n:
            extra = ["--oversubscribe", "--bind-to", "none"] if self.openmpi else []
            command = [self.mpiexec, *extra, "-n", str(n), *command]
        env = clean_env() | {"PYTHONFAULTHANDLER": "1"} | (env or {})
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={k: v for k, v in env.items() if v is not None},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{command} takes more than {timeout} s\n{_end(process)}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)


def _end(process: subprocess.Popen[str]) -> str:
    """End a job that hangs; return what it said, and where its ranks are."""
    import psutil

    started = psutil.Process(process.pid).children(recursive=True)
    told = [f"{p.pid} {p.status()} {p.cpu_times()} {p.name()}" for p in started if p.is_running()]
    for rank in started:  # faulthandler writes the stack of each thread
        if rank.is_running() and "python" in rank.name():
            rank.send_signal(signal.SIGABRT)
    try:
        out, err = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return "\n".join([*told, out, err])


def clean_env() -> dict[str, str]:
    """Return the environment for a job: no job around it, one thread, Open MPI allowed as root."""
    ours = ("PMI", "OMPI", "PMIX", "PRTE", "SLURM", "HYDI")
    env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    allow = {f"{a}_ALLOW_RUN_AS_ROOT{b}": "1" for a in ("OMPI", "PRTE") for b in ("", "_CONFIRM")}
    return env | allow | {"OMP_NUM_THREADS": "1"}


def _launcher(python: str) -> Launcher | None:
    beside = Path(python).parent / "mpiexec"
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        return None
    told = subprocess.run([mpiexec, "--version"], capture_output=True, text=True, env=clean_env())
    return Launcher(python, mpiexec, "Open MPI" in told.stdout or "prte" in told.stdout.lower())


def missing(config: pytest.Config, what: str) -> None:
    """Skip a test for something that is not there; with --complete it fails."""
    if config.getoption("complete"):
        pytest.fail(f"{what} (--complete: nothing may be missing)")
    pytest.skip(what)


@pytest.fixture(scope="session")
def launch(pytestconfig) -> Launcher:
    """Start ranks under this interpreter's MPI."""
    launcher = _launcher(sys.executable)
    if launcher is None:
        missing(pytestconfig, "there is no mpiexec: pip install '.[mpich,test]'")
    return launcher


@pytest.fixture(scope="session")
def launch_openmpi(pytestconfig) -> Launcher:
    """Start ranks under Open MPI: this MPI, or that of the interpreter PMCMC_TEST_OPENMPI."""
    python = os.environ.get("PMCMC_TEST_OPENMPI", sys.executable)
    launcher = _launcher(python)
    if launcher is None or not launcher.openmpi:
        missing(pytestconfig, "PMCMC_TEST_OPENMPI names no interpreter with pmcmc and Open MPI")
    return launcher


@pytest.fixture
def model(tmp_path):
    """Write a model file into the test's folder and return its name."""

    def write(text: str, name: str = "model.py") -> str:
        (tmp_path / name).write_text(text)
        return name

    return write

"""Ranks of this machine, or of a launcher that was named: started, signalled, waited for."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from ..errors import ExitStatus, LaunchError, RankError
from . import mpiexec, outcome, parent
from .outcome import JobOutcome

_FAREWELL = 10.0  # seconds for what is left of a job once it has said how it ended


class LocalJob:
    """A job of ranks, started by the launcher in a session of its own.

    Parameters
    ----------
    folder : Path
        A private one for what the job tells; not removed here.
    ranks : int
        How many.
    arguments : sequence of str
        The command line of pmcmc that each runs.
    launcher : str, optional
        See ``mpiexec.command``.
    output : file, optional
        Takes stdout and stderr. Default: those of this process.
    env : mapping, optional
        Variables besides those of this process.

    Raises
    ------
    LaunchError
        If they cannot be started.

    """

    def __init__(
        self,
        folder: Path,
        ranks: int,
        arguments: Sequence[str],
        launcher: str | None = None,
        output: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._told, self._since = folder / "outcome", 0.0
        words = [*mpiexec.command(ranks, launcher), sys.executable, "-m", "pmcmc", *arguments]
        self._launcher = words[0]
        more = {parent.VARIABLE: parent.describe_parent(), outcome.VARIABLE: str(self._told)}
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=mpiexec.environment(os.environ, ranks) | more | dict(env or {}),
                # a Ctrl-C of the terminal comes through this process alone, which passes it on
                start_new_session=True,
            )
        except OSError as exc:
            raise LaunchError(f"{words[0]} cannot be started: {exc.strerror}") from None

    @property
    def pid(self) -> int:
        """The launcher's process, and number of the session."""
        return self._process.pid

    def signal(self, name: str) -> None:
        """Send a signal to rank 0, by its name, as SIGTERM: the run ends in order."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has ended
            self._process.stdin.write(f"{name}\n".encode())
            self._process.stdin.flush()

    def wait(self, timeout: float) -> JobOutcome | None:
        """Wait for the end.

        Parameters
        ----------
        timeout : float
            Seconds.

        Returns
        -------
        JobOutcome or None
            None while it runs. The launcher's word alone is not trusted for success.

        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        said = outcome.read_outcome(self._told)
        status = self._process.returncode
        if status is None:
            if said is None:
                return None
            self._since = self._since or time.monotonic()
            if time.monotonic() - self._since < _FAREWELL:
                return None
            self.end()
            return said
        if said is not None:
            return said
        how = f"status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
        return JobOutcome(
            status if status > 0 else 128 - status if status < 0 else ExitStatus.FAILED,
            RankError(
                f"the ranks ended without telling how the run ended ({Path(self._launcher).name}: "
                f"{how})"
            ),
            told=False,
        )

    def end(self) -> None:
        """End what is left, ranks and launcher, and let go of the pipe."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_FAREWELL)
        for pid in _of_session(self._process.pid):  # in groups of their own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()


def _of_session(session: int) -> list[int]:
    """Return the processes of a session, where the system tells of them as Linux does."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                found.append(int(stat.parent.name))
    return found


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Return a new folder that nobody else can read, for as long as it is needed."""
    folder = Path(tempfile.mkdtemp(prefix="pmcmc-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

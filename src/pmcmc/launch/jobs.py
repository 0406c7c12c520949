"""Jobs for Slurm from Python: handed to sbatch, and found again from another interpreter."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import LaunchError, PmcmcError, StoreError, UsageError
from ..model import load as models
from ..model.parcel import TOKEN, write_problem
from ..model.problem import Problem
from ..option_words import in_python
from ..options import check
from ..prepare.resume import goes_on
from ..results.loading import load
from ..results.result import Result
from ..slurm import job as queue
from ..slurm.script import script
from ..slurm.script_options import SCRIPT_OPTIONS, with_here
from ..storage.file import replace_whole
from ..text import printable

_EVERY = 5.0  # seconds between two looks at the queue
_SETTLES = 30.0  # seconds in which a job that was just sent may be unknown to squeue
_ENDING = ".job.json"


@dataclass(frozen=True)
class _Record:
    """What is kept of a job beside its output, and among the user's own files."""

    id: str
    cluster: str
    output: str
    log: str
    script: str
    problem: str
    sent: float


class Job:
    """A job that was handed to Slurm, by `pmcmc.submit` or ``pmcmc slurm --submit``.

    Attributes
    ----------
    id : str
        Slurm's number of it.
    output : Path
        The HDF5 file.
    script : Path
        The batch script.

    """

    def __init__(self, record: _Record) -> None:
        self._record = record
        self.id, self.problem = record.id, record.problem
        self.output, self.script = Path(record.output), Path(record.script)

    @property
    def state(self) -> str:
        """As squeue says it (PENDING, RUNNING, SUSPENDED ...); once it is out of the queue ENDED.

        UNKNOWN where Slurm does not answer.
        """
        told = queue.state(self.id)
        if told == "" and time.time() - self._record.sent < _SETTLES and not self.output.exists():
            return "PENDING"
        return "UNKNOWN" if told is None else told or "ENDED"

    @property
    def in_queue(self) -> bool:
        """Whether it waits, runs, is suspended, or is about to begin again."""
        return queue.alive(self.id) is not False or self.state == "PENDING"

    @property
    def log(self) -> str:
        """What the run has said so far, "" before it began."""
        with contextlib.suppress(OSError):
            return Path(self._record.log.replace("%j", self.id)).read_text(errors="replace")
        return ""

    def result(self) -> Result | None:
        """Return the draws so far; None before the first commit."""
        with contextlib.suppress(StoreError):
            return load(self.output)
        return None

    def wait(self, timeout: float | None = None) -> Result | None:
        """Wait until it is out of the queue.

        Parameters
        ----------
        timeout : float, optional
            Seconds. Default: for as long as it takes.

        Returns
        -------
        Result or None
            The draws: ``status`` tells whether they are all. None where the time is over.

        Raises
        ------
        LaunchError
            If it ended without any draws; the message has the end of its log.

        """
        until = None if timeout is None else time.monotonic() + timeout
        while self.in_queue:
            if until is not None and time.monotonic() >= until:
                return None
            left = _EVERY if until is None else max(0.0, until - time.monotonic())
            time.sleep(min(_EVERY, left))
        result = self.result()
        if result is None:
            said = self.log.strip()[-2000:] or "nothing"
            raise LaunchError(f"job {self.id} ended without any draws; its log says:\n{said}")
        return result

    def cancel(self) -> None:
        """Have Slurm end it: the draws are committed first, in the time that Slurm leaves."""
        queue.cancel(self.id)

    def resubmit(self) -> Job:
        """Hand the same script to Slurm again: the run goes on from its file.

        Raises
        ------
        LaunchError
            If it is still in the queue, or sbatch refuses it.

        """
        if self.in_queue:
            raise LaunchError(f"job {self.id} is in the queue ({self.state}): cancel() it first")
        return _send(self._record)

    def __repr__(self) -> str:
        """Return its number, state and how far it is."""
        result = self.result()
        draws = "no draws yet" if result is None else result.in_short()
        return f"<pmcmc.Job {self.id} of {self.problem}: {self.state}; {draws}>"

    def _repr_html_(self) -> str:
        """Show it in a notebook, with the draws so far."""
        from ..results.html import escape, result_html

        result = self.result()
        draws = "<p>no draws yet</p>" if result is None else result_html(result)
        return f"<p><b>job {self.id}</b>: {escape(self.state)}</p>{draws}"


def submit(problem: Problem | str, **options: Any) -> Job:
    """Hand a run to Slurm.

    Parameters
    ----------
    problem : Problem or str
        What to sample; or a model, as for the command line. A Problem travels as a file beside
        the output that its owner alone can read, and that this job alone opens.
    **options
        Of the job, as for ``pmcmc slurm`` (ranks=64, time="4:00:00", partition="long",
        requeue=True, ...), and of the run, as for `run`.

    Returns
    -------
    Job
        Its id, state, log; ``result()``, ``wait()``, ``cancel()``, ``resubmit()``.

    Raises
    ------
    UsageError
        For an option that cannot be.
    LaunchError
        If sbatch is not there, or refuses the job.

    """
    try:
        job = {name: options.pop(name) for name in list(options) if name in SCRIPT_OPTIONS}
        return submit_run(problem, job, check(options))
    except PmcmcError as error:
        error.args = (in_python(str(error)),)
        raise error.with_traceback(None) from error.__cause__


def submit_run(problem: Problem | str, job: dict[str, Any], run: dict[str, Any]) -> Job:
    """Hand a run to Slurm, with options that were told apart.

    Parameters
    ----------
    problem : Problem or str
        As for `submit`.
    job : dict
        Options of the job.
    run : dict
        Those of the run, as ``options.check`` returns them.

    Raises
    ------
    PmcmcError
        As `submit`.

    """
    job, run = dict(job), dict(run)
    if not isinstance(run.get("moves"), str | None):
        raise UsageError("moves: give them to the Problem, moves=[...]: they travel with it")
    if not isinstance(problem, Problem | str):
        raise UsageError(f"expected a Problem or a model, got {type(problem).__name__}")
    name = problem.name if isinstance(problem, Problem) else models.stem(problem)
    output = Path(run.get("output") or f"{name}.h5").absolute()
    run["output"] = str(output)
    if not job.get("array"):  # whose tasks have a file each
        goes_on(output, run)
    job.setdefault("job_name", name.replace("/", "-") or "pmcmc")
    job.setdefault("output_log", str(output.with_name(f"{output.stem}-%j.log")))
    variables: dict[str, str] = {}
    if isinstance(problem, Problem):
        parcel = output.with_name(f".{output.name}.{os.urandom(4).hex()}.problem")
        script(str(parcel), with_here(job), run)  # refuses what cannot be, before a file
        variables[TOKEN] = write_problem(problem, parcel)
        model = str(parcel)
    else:
        found = models.find(problem)
        model = problem if found is None else str(found.absolute())
    text = script(model, with_here(job), run, variables)
    path = output.with_name(f"{output.stem}.job.sh")
    replace_whole(path, text.encode(), 0o700)
    log = job["output_log"].replace("%x", job["job_name"])
    try:
        return _send(_Record("", "", str(output), log, str(path), name, 0.0))
    except LaunchError:
        if variables:
            Path(model).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise


def _send(record: _Record) -> Job:
    number = queue.send(record.script)
    sent = _Record(
        **{**asdict(record), "id": number, "cluster": queue.cluster(), "sent": time.time()}
    )
    data = json.dumps(asdict(sent)).encode()
    output = Path(sent.output)
    replace_whole(output.with_name(output.stem + _ENDING), data)
    with contextlib.suppress(OSError):  # without a home it is found by its folder alone
        folder = _own_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_whole(folder / f"{number}.json", data)
    return Job(sent)


def _own_folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "pmcmc" / "jobs"


def load_job(folder_or_id: str | Path | int) -> Job:
    """Return a job that was submitted, also from another interpreter.

    Parameters
    ----------
    folder_or_id : str, Path or int
        The folder of its output, the output itself, or Slurm's number of the job.

    Raises
    ------
    UsageError
        If there is none, or several in that folder.

    """
    if str(folder_or_id).isdigit():
        path = _own_folder() / f"{folder_or_id}.json"
        if not path.exists():
            raise UsageError(
                f"no job {folder_or_id} was submitted from here: give the folder of its output"
            )
        return Job(_read(path))
    place = Path(str(folder_or_id))
    if not place.is_dir():
        return Job(_read(place.with_name(place.stem + _ENDING)))
    found = sorted(place.glob(f"*{_ENDING}"))
    if len(found) != 1:
        names = ", ".join(p.name.removesuffix(_ENDING) + ".h5" for p in found)
        raise UsageError(
            f"there are several jobs in {place}: give the output of one ({names})"
            if found
            else f"no job was submitted to {place}"
        )
    return Job(_read(found[0]))


def _read(path: Path) -> _Record:
    try:
        told = json.loads(path.read_bytes()[: 1 << 16])
        record = _Record(**told)
    except (OSError, ValueError, TypeError):
        raise UsageError(f"{printable(str(path))} does not tell of a job") from None
    if not str(record.id).isdigit():
        raise UsageError(f"{printable(str(path))} does not tell of a job")
    return record

"""The commands about the place of a run: slurm, doctor."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ExitStatus, PmcmcError
from ..model.load import stem
from ..options import check
from ..slurm import script as slurm_script
from ..slurm import script_options as batch
from ..storage.place import shown_path
from ..text import to_terminal
from . import settings

if TYPE_CHECKING:
    from .main import Launch


def doctor(launch: Launch, output: str, as_json: bool) -> int:
    """Examine the launch, and print the findings; return the exit status."""
    from ..doctor.examine import doctor as examine

    return examine(launch.comm, output, as_json, launch.error, launch.threads)


def slurm(submit: bool, **arguments: Any) -> int:
    """Print the batch script of a run, or hand it to sbatch."""
    job = {name: arguments.pop(name) for name in batch.SCRIPT_OPTIONS}
    job = {name: value for name, value in job.items() if value is not None}
    ranks = job.get("ranks", batch.SCRIPT_OPTIONS["ranks"].default)
    name, options = settings.read(arguments)
    if submit:
        from ..launch.jobs import submit_run

        sent = submit_run(name, job, options)
        print(f"job {sent.id}: {shown_path(sent.output)}, script {shown_path(sent.script)}")
        print(f"to see how far it is: python -m pmcmc status {shown_path(sent.output)} --follow")
        return ExitStatus.DONE
    print(slurm_script.script(name, batch.with_here(job), options), end="")
    if not job.get("array"):  # whose tasks have a file each
        _tell_of_draws(Path(options.get("output") or f"{stem(name)}.h5"), options)
    model = shlex.quote(name)
    to_terminal(f"what these ranks will do: python -m pmcmc plan {model} --ranks {ranks}")
    return ExitStatus.DONE


def _tell_of_draws(output: Path, options: dict[str, Any]) -> None:
    """Say at the terminal what a job will make of the file, if there is one."""
    from ..prepare.resume import goes_on

    try:
        if goes_on(output, check(options)):
            to_terminal(f"note: {shown_path(output)} is there: the job goes on from it")
    except PmcmcError as exc:
        to_terminal(f"note: the job would fail: {exc}")

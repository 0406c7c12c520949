"""The text of a Slurm batch script: settings in, a script out. Pure.

What is known of Slurm, and shaped the script:

- ``srun --kill-on-bad-exit=1`` ends a run of which one rank is lost. It sends TERM, too, to the
  ranks that leave a moment after the first one with status 75: they ignore signals by then.
- TERM makes srun and Open MPI's mpiexec kill the ranks at once. All launchers pass on USR1.
- A shell runs a trap only while it waits: so the launcher is in the background.
- Under srun MPICH names its shared memory by job and step. A job that begins again after its ranks
  were killed would find theirs under the same number of step: so that number grows.
- scancel and a time that is up both come as TERM; squeue tells which it was.
- The array's own number is also that of one of its jobs: to requeue that one, name it as N_I.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from .._version import __version__
from ..errors import ExitStatus, UsageError
from ..model import load as models
from ..option_values import fail
from ..options import OPTIONS, check, check_width
from ..sampler.rng import MAX_SEED
from .script_options import in_seconds, one_line, read

_EARLY = 60  # seconds before the end of the time that the script is told of it
_SHORT = 600  # seconds: a job this short is not told, the run sees the end by itself
_WIDTH = 88  # characters of a line, about
_FOR_SBATCH = (
    *("nodes", "ntasks_per_node", "cpus_per_task", "mem", "mem_per_cpu"),
    *("partition", "account", "qos", "constraint", "array", "mail_user"),
)
_NOT_IN_A_JOB = ("overwrite", "break_lock", "dry_run")


def script(
    model: str,
    settings: Mapping[str, Any],
    run: Mapping[str, Any] | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Return a batch script that samples ``model``.

    Parameters
    ----------
    model : str
        As for ``pmcmc run``.
    settings : mapping
        Of the job, by the names in ``SCRIPT_OPTIONS``.
    run : mapping, optional
        Options of ``pmcmc run``.
    variables : mapping, optional
        What the ranks need in their environment.

    Raises
    ------
    UsageError
        For anything that cannot work, or that cannot be written safely.

    """
    s = read(settings)
    model = one_line("model", model)
    if model.startswith("-"):
        if not (model.endswith(".py") or "/" in model):
            raise fail("model", "a name that does not begin with a dash", model)
        model = f"./{model}"
    options = {"output": models.stem(model) + ".h5", **_run_options(run or {}, s)}
    if s["job_name"] is None:
        s["job_name"] = os.path.basename(models.stem(model)) or "pmcmc"
    s["file"] = _file(s, options["output"])
    parts = [_head(s), _environment(s, variables or {}), _launch(model, s, options), _wait(s)]
    return "\n".join(parts)


def _run_options(run: Mapping[str, Any], s: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the run, checked; the script's own are refused."""
    found = check(run)
    for name in _NOT_IN_A_JOB:
        if found.pop(name, False):
            raise UsageError(
                f"{name} is not for a job that may begin again: every job goes on from the file "
                "with --resume. Do it by hand first, or give another --output"
            )
    found.pop("resume", None)
    check_width(s["ranks"], found.get("ranks_per_evaluation", 1))
    if s["array"] and "seed" in found:
        last = max(int(n) for n in re.findall(r"\d+", s["array"].partition("%")[0]))
        if found["seed"] + last > MAX_SEED:
            raise fail("seed", f"with the array at most {MAX_SEED - last}", found["seed"])
    return {name: _text(name, value) for name, value in found.items()}


def _text(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return repr(int(value) if value.is_integer() else value)
    return one_line(name, value)


def _head(s: Mapping[str, Any]) -> str:
    """Return the lines for sbatch: its options."""
    log = s["output_log"] or ("%x-%A_%a.log" if s["array"] else "%x-%j.log")
    lines = [("job-name", s["job_name"]), ("ntasks", s["ranks"]), ("time", s["time"])]
    lines += [(name.replace("_", "-"), s[name]) for name in _FOR_SBATCH if s[name] is not None]
    if s["mail_user"]:
        lines += [("mail-type", "END,FAIL")]
    lines += [("output", log), ("open-mode", "append")]
    text = [f"#SBATCH --{name}={_quoted(str(value))}" for name, value in lines]
    if s["requeue"]:
        text.append("#SBATCH --requeue")
    if (s["requeue"] or s["chain"]) and in_seconds(s["time"]) > _SHORT:
        text.append(f"#SBATCH --signal=B:USR1@{_EARLY}")
    shell = "#!/bin/bash -l" if s["modules"] else "#!/bin/bash"
    made = f"# Made by pmcmc {__version__}; edit it as you like. Submit it with sbatch, from the"
    return "\n".join(
        [shell, made, "# folder in which the names of files below are meant.", *text, ""]
    )


def _quoted(text: str) -> str:
    """Quote a value for an #SBATCH line: sbatch heeds quotes and backslashes, expands nothing."""
    if re.fullmatch(r"[\w.,:@%/+=-]+", text, re.ASCII):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


_UNPACK = """\
# Each node gets a copy of the environment: that is sooner read than one file system by all ranks.
env=${{TMPDIR:-/tmp}}/pmcmc-env-$SLURM_JOB_ID
everywhere() {{ srun --nodes="$SLURM_NNODES" --ntasks="$SLURM_NNODES" --ntasks-per-node=1 "$@"; }}
trap 'everywhere rm -rf "$env"' EXIT
everywhere mkdir -p "$env" && everywhere tar -xf {file} -C "$env" || exit 1
. "$env/bin/activate" || exit 1
"""


def _environment(s: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    lines = []
    if s["modules"]:
        lines += [f"module load {shlex.join(s['modules'].split())} || exit 1"]
    if s["venv"]:
        activate = os.path.join(s["venv"], "bin", "activate")
        # without a slash `.` would search PATH; a leading dash would be an option
        activate = activate if activate.startswith("/") else f"./{activate}"
        lines += [f". {shlex.quote(activate)} || exit 1"]
    if s["unpack"]:
        lines += [_UNPACK.format(file=shlex.quote(s["unpack"])).rstrip()]
    threads = s["cpus_per_task"] or 1
    lines += [f"export OMP_NUM_THREADS={threads}  # threads of numpy's BLAS, in each rank"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    lines += [""]
    return "\n".join(lines)


def _launch(model: str, s: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return the lines that start the ranks, in the background."""
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words += [flag]
        elif value is False:
            words += [f"--no-{name}"] if OPTIONS[name].default is None else []
        elif s["array"] and name == "output":
            words += [f"{flag}={s['file']}"]
        elif s["array"] and name == "seed":
            words += [f"{flag} $(({value} + SLURM_ARRAY_TASK_ID))"]
        elif value.startswith("-"):
            words += [f"{flag}={shlex.quote(value)}"]
        else:
            words += [f"{flag} {shlex.quote(value)}"]
    command = f"    python3 -m pmcmc run {shlex.quote(model)}"
    for word in [*words, "--resume"]:
        long = len(command.rpartition("\n")[2]) + len(word) > _WIDTH
        command += f" \\\n        {word}" if long else f" {word}"
    lines = [
        *_next_step(s),
        "# With --resume a run goes on from its file, if there is one: submit again at any time.",
        "# In the background, so that this shell can pass signals on.",
        f"{_launcher(s)} \\",
        f"{command} &",
        "run=$!",
        "",
    ]
    return "\n".join(lines)


def _next_step(s: Mapping[str, Any]) -> list[str]:
    if s["launcher"] != "srun" or s["mpi"] == "openmpi":
        return []
    return [
        "# A job that begins again must not find the shared memory of ranks that were killed:",
        "# MPICH names it by job and step, so let the number of the step grow.",
        "for ((i = 0; i < ${SLURM_RESTART_COUNT:-0} % 10; i++)); do srun -N 1 -n 1 true; done",
        "",
    ]


def _launcher(s: Mapping[str, Any]) -> str:
    if s["launcher"] == "mpiexec":
        bind = " --bind-to none" if s["mpi"] == "openmpi" else ""
        return f"mpiexec{bind} -n $SLURM_NTASKS"
    kind = {"mpich": " --mpi=pmi2", "openmpi": " --mpi=pmix", "module": ""}[s["mpi"]]
    cores = f" --cpus-per-task={s['cpus_per_task']}" if s["cpus_per_task"] else ""
    return f"srun{kind}{cores} --kill-on-bad-exit=1"


def _file(s: Mapping[str, Any], output: str) -> str:
    """Return the output as the shell is to read it."""
    root, ending = os.path.splitext(output)
    if not s["array"]:
        return shlex.quote(output)
    return f"{shlex.quote(root + '-')}$SLURM_ARRAY_TASK_ID{shlex.quote(ending)}"


def _look(s: Mapping[str, Any]) -> str:
    """Return the lines that ask the file whether the run is finished."""
    return (
        "# a launcher's 0 counts only where the file says so too\n"
        f"[ $status -ne 0 ] || {{ python3 -m pmcmc status {s['file']}; status=$?; }}"
    )


_WAIT = """\
# USR1 makes the ranks save their draws and end with status 75; TERM would kill srun at once.
# TERM comes with scancel, and when the time is up.
trap 'told=1; kill -USR1 $run 2>/dev/null' USR1
trap 'told=1; cancelled=1; kill -USR1 $run 2>/dev/null' TERM
while told=; wait $run; status=$?; [ "$told" ]; do :; done  # a signal cuts a wait short
"""


def _wait(s: Mapping[str, Any]) -> str:
    """Return the lines that wait for the run, and what comes after it."""
    job = "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" if s["array"] else "$SLURM_JOB_ID"
    more = f'if [ $status -eq {ExitStatus.STOPPED} ] && {{ [ ! "$cancelled" ] || late; }}'
    lines = [
        "# the time may be up before the ranks have stopped",
        f'late() {{ [ "$(squeue -h -j "{job}" -o %r)" = TimeLimit ]; }}',
    ]
    if s["requeue"]:
        lines += [
            f"{more}; then  # {ExitStatus.STOPPED}: there is more to do",
            f'    if [ "${{SLURM_RESTART_COUNT:-0}}" -ge {s["max_requeues"]} ]; then',
            f'        echo "not requeued again after {s["max_requeues"]} times; sbatch goes on"',
            "    else",
            f'        scontrol requeue "{job}" || echo "not requeued; sbatch goes on"',
            "    fi",
            "fi",
        ]
    elif s["chain"]:
        index = " --array=$SLURM_ARRAY_TASK_ID" if s["array"] else ""
        lines += [
            "link=${1:-1}  # which job of the chain this is",
            f'{more} && [ "$link" -lt {s["chain"]} ]; then  # {ExitStatus.STOPPED}: more to do',
            f'    sbatch --dependency="afterany:{job}"{index} \\',
            '        "$0" $((link + 1)) || echo "the chain ends here; sbatch goes on"',
            "fi",
        ]
    else:
        lines = []
    return "\n".join([_WAIT.rstrip(), _look(s), *lines, "exit $status", ""])

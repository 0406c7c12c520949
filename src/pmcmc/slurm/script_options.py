"""The settings of a batch job: one table, as ``options`` has for a run."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..option_values import Parse, choice, duration, fail, switch, whole
from ..options import Option, unknown


def one_line(name: str, value: Any) -> str:
    """Read text that stays on its line: what comes after a newline would be run by the shell."""
    number = isinstance(value, int) and not isinstance(value, bool)
    text = str(value) if number or isinstance(value, Path) else value
    if not isinstance(text, str) or not text.strip() or not text.isprintable():
        raise fail(name, "text on one line, without control characters", value)
    return text


def _like(pattern: str, expected: str) -> Parse:
    """Return a reader of text that looks like ``pattern`` as a whole."""

    def parse(name: str, value: Any) -> str:
        text = one_line(name, value)
        if not re.fullmatch(pattern, text, re.ASCII):
            raise fail(name, expected, value)
        return text

    return parse


def _time(name: str, value: Any) -> str:
    text = one_line(name, value)
    if re.search(r"\d[a-z]", text):  # 4h, as --max-time takes it
        minutes, seconds = divmod(math.ceil(duration(name, text)), 60)
        text = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if not in_seconds(text):
        expected = "a time such as 4:00:00, 4h, 1-12:00:00 (days-hours) or 90 (minutes), above 0"
        raise fail(name, expected, value)
    return text


def in_seconds(text: str) -> int:
    """Return the seconds of a time as Slurm writes it; 0 if it is none."""
    if found := re.fullmatch(r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?", text, re.ASCII):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if re.fullmatch(r"\d+(:\d+){0,2}", text, re.ASCII):
        parts = [int(part) for part in text.split(":")]
        hours, minutes, seconds = ([0, *parts, 0] if len(parts) < 3 else parts)[:3]
        return (hours * 60 + minutes) * 60 + seconds
    return 0


def _log(name: str, value: Any) -> str:
    text = one_line(name, value)
    if "$" in text or text.startswith("~"):
        raise fail(name, "a path in full, as sbatch expands neither $ nor ~ (only %x, %j)", value)
    return text


def _venv(name: str, value: Any) -> str:
    text = one_line(name, value)
    if text.startswith("~"):
        raise fail(name, "a path in full, as ~ is not expanded", value)
    return text


def _modules(name: str, value: Any) -> str:
    words = one_line(name, value).replace(",", " ").split()
    if not words or any(word.startswith("-") for word in words):
        raise fail(name, "names of modules, with a comma or space between", value)
    return " ".join(words)


_name = _like(r"\w[\w.,:@+/-]*", "a name, without spaces or quotes")
_memory = _like(r"\d+[KMGTkmgt]?", "a size such as 16G or 2000M")
_span = r"\d+(-\d+(:[1-9]\d*)?)?"
_ALL = (
    Option("ranks", whole(1), 16, "N", "MPI ranks"),
    Option(
        "time", _time, "1:00:00", "TIME", "limit of one job: 4:00:00, 4h, 1-12:00:00, 90 (minutes)"
    ),
    Option("partition", _name, None, "P", "partition (queue)"),
    Option("account", _name, None, "A", "account that pays"),
    Option("qos", _name, None, "Q", "quality of service"),
    Option(
        "nodes",
        _like(r"[1-9]\d*(-[1-9]\d*)?", "a number of nodes such as 4 or 2-4"),
        None,
        "N",
        "nodes, 4 or 2-4 (default: as Slurm finds room)",
    ),
    Option("ntasks_per_node", whole(1), None, "N", "ranks on each node"),
    Option("cpus_per_task", whole(1), None, "N", "cores, and threads, of each rank (default: 1)"),
    Option("mem", _memory, None, "SIZE", "memory of each node: 16G"),
    Option("mem_per_cpu", _memory, None, "SIZE", "memory of each core: 2G"),
    Option(
        "constraint",
        _like(r"[\w.,:@+=&|*!()\[\]-]+", "features of nodes such as 'skylake|icelake'"),
        None,
        "F",
        "features that nodes must have",
    ),
    Option(
        "array",
        _like(rf"{_span}(,{_span})*(%[1-9]\d*)?", "indices such as 0-9, 1,3,5 or 0-99%10"),
        None,
        "INDICES",
        "a run for each index, with a file and a seed of its own: 0-9",
    ),
    Option(
        "job_name",
        _like("[^/]+", "a name without /"),
        None,
        "NAME",
        "name of the job (default: the model's)",
    ),
    Option("output_log", _log, None, "FILE", "what the run says (default: NAME-JOB.log, here)"),
    Option("mail_user", _name, None, "ADDRESS", "mail to, when the job ends or fails"),
    Option("requeue", switch, False, None, "begin again by itself until the run is finished"),
    Option("max_requeues", whole(1), 100, "N", "with --requeue: at most so often"),
    Option(
        "chain", whole(2), None, "N", "where requeueing is forbidden: jobs after jobs, at most N"
    ),
    Option("launcher", choice("srun", "mpiexec"), "srun", "srun|mpiexec", "what starts the ranks"),
    Option(
        "mpi",
        choice("mpich", "openmpi", "module"),
        None,
        "mpich|openmpi|module",
        "the MPI of this Python, or of a module (default: as installed here)",
    ),
    Option("modules", _modules, None, "NAMES", "modules to load, with a comma between"),
    Option(
        "venv",
        _venv,
        None,
        "FOLDER",
        "virtual environment (default: the one this runs in, if any)",
    ),
    Option(
        "unpack",
        _venv,
        None,
        "FILE.tar",
        "an environment that conda-pack or venv-pack made, instead: unpacked on each node first, "
        "so that a thousand Pythons do not read one file system",
    ),
)
SCRIPT_OPTIONS: dict[str, Option] = {option.name: option for option in _ALL}


def read(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings, read and checked, with the default of those not given.

    Raises
    ------
    UsageError
        For a name that is no setting, a value that cannot be, or two that do not go together.

    """
    found = {}
    for name, value in values.items():
        if name not in SCRIPT_OPTIONS:
            raise unknown(name, list(SCRIPT_OPTIONS), "setting")
        if value is not None:
            found[name] = SCRIPT_OPTIONS[name].parse(name, value)
    for one, other in (("mem", "mem_per_cpu"), ("requeue", "chain"), ("venv", "unpack")):
        if found.get(one) and found.get(other):
            raise UsageError(f"{one} and {other} exclude each other: give one of them")
    if "max_requeues" in found and not found.get("requeue"):
        raise UsageError("max_requeues is for requeue: give --requeue too, or leave it out")
    found = {name: found.get(name, option.default) for name, option in SCRIPT_OPTIONS.items()}
    found["mpi"] = found["mpi"] or "mpich"
    _check_room(found)
    return found


def _check_room(found: Mapping[str, Any]) -> None:
    """Refuse nodes and ranks that do not fit."""
    ranks, nodes, each = found["ranks"], found["nodes"], found["ntasks_per_node"]
    if nodes is None:
        return
    least, _, most = nodes.partition("-")
    if most and int(most) < int(least):
        raise UsageError(f"nodes is {nodes}; expected the smaller number first: {most}-{least}?")
    if int(least) > ranks:
        raise UsageError(f"nodes is {nodes}, but ranks is {ranks}: use --nodes {ranks} or fewer")
    room = int(most or least) * each if each else ranks
    if room < ranks:
        raise UsageError(
            f"ranks is {ranks}, but nodes {nodes} with ntasks_per_node {each} has room for "
            f"{room}: use --nodes {-(-ranks // each)} or --ranks {room}"
        )


def with_here(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings that were given, and besides what this Python suggests."""
    found = here()
    if given.get("unpack"):
        found.pop("venv", None)
    return found | dict(given)


def here() -> dict[str, Any]:
    """Return the settings that this Python suggests: its virtual environment and its MPI."""
    from importlib import metadata  # slow to load, and not always needed

    found: dict[str, Any] = {"mpi": "module"}
    for name in ("openmpi", "mpich"):
        try:
            metadata.version(name)
            found["mpi"] = name
        except metadata.PackageNotFoundError:
            pass
    if sys.prefix != sys.base_prefix and os.path.exists(os.path.join(sys.prefix, "bin/activate")):
        found["venv"] = sys.prefix
    return found

"""The commands that read files: summary, plot, report, status, export. They need no MPI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .errors import STOPPED, StoreError, UsageError
from .lock import being_written
from .result import Result, load
from .writer import Writer

SHORT = 3  # status of a file that finished short of its stop rule
WRITING = 4  # of one that a job is writing now


def summary(path: Path, as_json: bool) -> int:
    """Print figures of the draws, and the verdict."""
    result = load(path)
    found = result.summary()
    verdict = result.judge(found)
    now, _ = _now(path, result)
    if as_json:
        about = {"file": str(path), "status": now, **found.to_dict()}
        print(json.dumps({**about, "enough": verdict.enough, "verdict": list(verdict.lines)}))
        return 0
    steps = sorted(set(result.steps))
    span = str(steps[0]) if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    print(f"{path}: {result.problem}, {now}, {found.ndraws} draws")
    print(
        f"{result.nensembles} ensembles of {result.nwalkers} walkers, {span} steps each after "
        f"{result.burnin} of burn-in; acceptance {found.acceptance_fraction:.2f}\n"
    )
    print(f"{found}\n\n{verdict}")
    return 0


def plot(path: Path, folder: Path, names: Sequence[str] | None) -> int:
    """Write the plots as PNG files."""
    from .plots import figures
    from .report import png

    result = load(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures(result, names):
            output = folder / f"{path.stem}-{name}.png"
            output.write_bytes(png(figure))
            print(output)
    except OSError as exc:
        raise UsageError(f"{folder} cannot be written to: {exc.strerror or exc}") from None
    return 0


def report(path: Path, output: Path | None) -> int:
    """Write the report."""
    from .report import report as page

    output = output or Path(f"{path.stem}.html")
    text = page(load(path))
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"{output} cannot be written: {exc.strerror or exc}") from None
    print(output)
    return 0


def export(path: Path, form: str, output: Path | None, overwrite: bool) -> int:
    """Write the draws in another format."""
    from .export import FORMATS
    from .export import export as write

    result = load(path)
    for file in write(result, form, output or Path(path.stem + FORMATS[form][0]), overwrite):
        print(file)
    return 0


def status(path: Path, as_json: bool) -> int:
    """Print what is in a file; return the exit status that goes with it."""
    try:
        result = load(path)
    except StoreError as exc:
        writer = being_written(path)
        if writer and not path.exists():
            return _status_of_none(path, writer, as_json)
        if as_json:
            values = {"file": str(path), "status": "unusable", "exit_status": 1}
            print(json.dumps({**values, "reason": str(exc)}))
            return 1
        raise
    now, writer = _now(path, result)
    code = WRITING if writer else STOPPED
    if now == "finished":
        code = SHORT if result.short else 0
    if as_json:
        values = {
            "file": str(path),
            "status": now,
            "exit_status": code,
            "writer": None if writer is None else str(writer),
            "steps": sum(result.steps),
            "nsteps": result.nsteps,
            "burnin_steps": min(result.burnin_steps),
            **{k: getattr(result, k) for k in ("burnin", "nensembles", "nwalkers", "seed")},
        }
        print(json.dumps(values))
        return code
    short = ", short of its stop rule" if code == SHORT else ""
    print(f"{path}: {now}{short}, {steps_done(result)} ({result.problem})")
    if writer:
        print(f"it is being written by {writer}, since {writer.since}")
    elif code == SHORT:
        print("to go on: the command that made it, with --resume and a higher --nsteps")
    elif code:
        print("to go on: the command that made it, with --resume, on any number of ranks")
    return code


def _now(path: Path, result: Result) -> tuple[str, Writer | None]:
    """Return what a file's run is, and who writes it now; one that nobody writes was killed."""
    if result.status == "finished":
        return "finished", None
    writer = being_written(path)
    if writer:
        return "running", writer
    return ("interrupted" if result.status == "running" else result.status), None


def steps_done(result: Result) -> str:
    """Return how far a run is, in words."""
    if sum(result.steps):
        return f"{sum(result.steps)} of {result.nsteps} steps"
    of = "" if result.config.get("burnin") == "auto" else f"of {result.burnin} "
    return f"{min(result.burnin_steps)} {of}burn-in steps per ensemble"


def _status_of_none(path: Path, writer: Writer, as_json: bool) -> int:
    """Say that a job is at work that has not made its file yet."""
    if as_json:
        values = {"file": str(path), "status": "running", "exit_status": WRITING}
        print(json.dumps({**values, "writer": str(writer)}))
    else:
        print(f"{path}: not there yet; {writer} began with it, {writer.since}")
    return WRITING

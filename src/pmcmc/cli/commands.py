"""The commands that read files: summary, plot, report, status, export. They need no MPI."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import streams
from ..errors import ExitStatus, ModelError, StoreError, UsageError
from ..results.files import write_file
from ..results.loading import load
from ..results.result import Result
from ..storage.lock import being_written
from ..storage.lock_owner import LockOwner
from ..storage.notes import read_notes
from ..storage.place import shown_path
from ..storage.verify import verify as compare_checksums
from ..text import announced, count_text, ordinal_text, progress_bar, span_text
from . import settings

_MANY = 10**5  # draws: pictures of as many are drawn by all cores


def summary(
    paths: Sequence[Path],
    ensembles: bool,
    kind: str,
    names: Sequence[str] | None,
    correlation: bool,
    form: str,
    as_json: bool,
    discard: int,
    thin: int,
) -> int:
    """Print figures of the draws, and the verdict; of several files in what they differ."""
    if len(paths) > 1:
        return _compare([_load(path).cut(discard, thin) for path in paths], as_json)
    path = paths[0]
    result = _load(path).cut(discard, thin)
    chosen = None if names is None else result.checked(names)
    with announced("working out the figures"):
        found = result.summary(kind)
    verdict = result.assess(found)
    now, _ = _now(path, result)
    if as_json:
        about = {"file": str(path), "status": now, **found.to_dict()}
        for key in ("parameters", "derived"):
            about[key] = [row for row in about[key] if chosen is None or row["name"] in chosen]
        print(json.dumps({**about, "enough": verdict.enough, "verdict": list(verdict.lines)}))
        return ExitStatus.DONE
    if form != "text":
        from ..results.tables import latex_table, markdown_table

        write = latex_table if form == "latex" else markdown_table
        print(write(result, [row for rows in found.chosen(chosen) for row in rows], kind))
        if not verdict.enough:
            streams.tell(f"note: {verdict.lines[0]}", error=True)
        return ExitStatus.DONE
    print(f"{path}: {result.problem}, {now}, {found.ndraws} draws")
    left_out = f" and {discard} left out" if discard else ""
    left_out += f", every {ordinal_text(thin)}" if thin > 1 else ""
    print(
        f"{count_text(result.nensembles, 'ensemble')} of {result.nwalkers} walkers, "
        f"{span_text(result.steps)} steps each after "
        f"{result.burnin} of burn-in{left_out}; acceptance {found.acceptance_fraction:.2f}\n"
    )
    from ..results.tables import best_draw, correlations

    parts = [found.table(chosen)]
    parts += [found.ensembles_table()] if ensembles else []
    parts += [f"correlation\n{correlations(result, chosen)}"] if correlation else []
    print("\n\n".join([*parts, str(verdict), best_draw(found)]))
    return ExitStatus.DONE


def _compare(results: Sequence[Result], as_json: bool) -> int:
    from ..results.tables import comparison, comparison_table

    with announced("working out the figures"):
        found = comparison(results)
    print(json.dumps(found) if as_json else comparison_table(found))
    return ExitStatus.DONE


def plot(
    paths: Sequence[Path],
    folder: Path,
    names: Sequence[str] | None,
    truths: Sequence[Mapping[str, float]],
    form: str,
    overwrite: bool,
    discard: int,
    thin: int,
) -> int:
    """Write the plots; of several files one that compares them."""
    _draw_without_a_window()
    from ..results import html
    from ..results.plots import comparison, pictures
    from ..results.plots.rendering import render

    convert = html.pdf if form == "pdf" else html.png
    marked = {name: value for some in truths for name, value in some.items()}
    results = [_load(path, to_draw=True).cut(discard, thin) for path in paths]
    stem = paths[0].stem
    if len(paths) > 1:
        stem = "-".join(dict.fromkeys(path.stem for path in paths[:3]))
        drawn: list[tuple[str, Callable[[], Any]]] = [
            ("comparison", partial(comparison, results, names, marked))
        ]
    else:
        drawn = pictures(results[0], names, truths=marked)
    many = sum(result.ndraws for result in results) > _MANY
    with progress_bar("drawing", len(drawn)) as done:
        for name, data in render(drawn, convert, parallel=many):
            output = folder / f"{stem}-{name}.{form}"
            write_file(output, data, overwrite)
            done(1)
            print(output, flush=True)
    return ExitStatus.DONE


def report(path: Path, output: Path | None, overwrite: bool, discard: int, thin: int) -> int:
    """Write the report."""
    _draw_without_a_window()
    from ..results.report import report as page

    output = output or Path(f"{path.stem}.html")
    result = _load(path, to_draw=True).cut(discard, thin)
    text = page(result, parallel=result.ndraws > _MANY)
    write_file(output, text.encode("utf-8", "backslashreplace"), overwrite)
    print(output)
    return ExitStatus.DONE


def _draw_without_a_window() -> None:
    """Let matplotlib draw into memory, whatever the environment asks for."""
    os.environ["MPLBACKEND"] = "agg"


def _load(path: Path, to_draw: bool = False) -> Result:
    """Open a file whose draws are about to be read; say where some are no numbers."""
    result = load(path)
    with announced("reading the draws"):
        wrong = result.not_finite()
    if wrong and to_draw:
        raise StoreError(f"no pictures: {wrong}")
    if wrong:
        np.seterr(invalid="ignore")  # it is said
        streams.tell(f"note: {wrong}", error=True)
    if stale := result.reader.added.stale:
        streams.tell(
            f"note: {', '.join(stale)} are of an earlier state of {shown_path(path)}, and left "
            f"out: python -m pmcmc derive {shlex.quote(shown_path(path))} MODEL.py",
            error=True,
        )
    return result


def export(
    path: Path, form: str, output: Path | None, overwrite: bool, discard: int, thin: int
) -> int:
    """Write the draws in another format."""
    from ..results.exports import FORMATS
    from ..results.exports import export as write

    _draw_without_a_window()  # ArviZ loads matplotlib
    result = _load(path).cut(discard, thin)
    for file in write(result, form, output or Path(path.stem + FORMATS[form][0]), overwrite):
        print(file)
    return ExitStatus.DONE


def derive(path: Path, model: str) -> int:
    """Work out the derived quantities that a model gives as functions."""
    from ..model import load as models
    from ..model.checks import check_arguments
    from ..model.parameters import Parameters
    from ..results.derive import add_derived

    result = _load(path)
    found = models.read(model)
    functions = found.get("derived")
    if not isinstance(functions, Mapping) or not functions:
        raise ModelError(
            f"{model} gives no functions to work out: expected derived = {{'name': function}}, "
            "each a function of theta"
        )
    if "parameters" in found:
        names = Parameters.read(found["parameters"], found.get("ndim")).names
        if names != result.names:
            raise UsageError(
                f"{model} has the parameters {', '.join(names)}, and {shown_path(path)} holds "
                f"draws of {', '.join(result.names)}: is it the model of this run?"
            )
    given = check_arguments(found.get("args"), found.get("kwargs"))
    reader = add_derived(
        result,
        {name: partial(_passing, function, *given) for name, function in functions.items()},
        {k: v for k, v in dict(found.get("labels", {})).items() if k in functions},
        bool(found.get("vectorized", False)),
    )
    added = Result(reader)
    print(f"{path}: worked out for {added.ndraws} draws: {', '.join(functions)}")
    for name in functions:
        wrong = sum(int((~np.isfinite(values)).sum()) for values in added.parameter(name))
        if wrong:
            print(f"note: {name} is NaN or infinite at {wrong} of {added.ndraws} draws")
    print(f"next: python -m pmcmc summary {shlex.quote(shown_path(path))}")
    return ExitStatus.DONE


def _passing(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], theta: Any
) -> Any:
    return function(theta, *args, **kwargs)


def init(path: Path, style: str) -> int:
    """Write a model to begin with."""
    from ..model.template import write_template

    write_template(style, path)
    shown = shlex.quote(str(path))
    print(f"{path}: a model that runs as it is\nnext: python -m pmcmc {shown}")
    return ExitStatus.DONE


def status(
    path: Path | None, follow: bool, verify: bool, as_json: bool, of_run: list[str] | None
) -> int:
    """Print what is in a file; return the exit status that goes with it."""
    path = path if of_run is None else settings.output_of(of_run)
    if path is None:
        raise UsageError("status: expected FILE, or --of-run and the words of a run")
    if follow:
        from .follow import Follower

        Follower(path).watch()
    try:
        result = load(path)
    except StoreError as exc:
        writer = being_written(path)
        if writer and not path.exists():
            return _status_of_none(path, writer, as_json)
        if as_json:
            values = {"file": str(path), "status": "unusable", "exit_status": ExitStatus.FAILED}
            print(json.dumps({**values, "reason": str(exc)}))
            return ExitStatus.FAILED
        raise
    now, writer = _now(path, result)
    progress = None if writer is None else read_notes(path, writer)
    code = ExitStatus.BEING_WRITTEN if writer else ExitStatus.STOPPED
    if now == "finished":
        code = ExitStatus.SHORT if result.short else ExitStatus.DONE
    damaged = None
    if verify:
        with announced("comparing the draws with their checksums"):
            damaged = compare_checksums(result.reader)
        code = ExitStatus.FAILED if damaged else code
    if as_json:
        values = {
            "file": str(path),
            "status": now,
            "exit_status": code,
            "not_finite": result.not_finite(),
            "writer": None if writer is None else str(writer),
            "notes": [] if progress is None else list(progress.waiting),
            "progress": None if progress is None else progress.to_dict(),
            "steps": sum(result.steps),
            "nsteps": result.nsteps,
            "burnin_steps": min(result.burnin_steps),
            **{k: getattr(result, k) for k in ("burnin", "nensembles", "nwalkers", "seed")},
        }
        if verify:
            values["verified"] = None if damaged is None else not damaged
            values["damaged"] = [vars(one) for one in damaged or ()]
        print(json.dumps(values))
        return code
    short = ", short of its stop rule" if code == ExitStatus.SHORT else ""
    print(f"{path}: {now}{short}, {steps_done(result)} ({result.problem})")
    if wrong := result.not_finite():
        print(f"note: {wrong}")
    for one in damaged or ():
        print(f"damaged: {one}: these draws are not those that were written")
    if verify and not damaged:
        none = "there are none: the file is of an older pmcmc"
        print(f"checksums: {none if damaged is None else 'all draws are as they were written'}")
    if writer:
        print(f"it is being written by {writer}, since {writer.since}")
        for line in () if progress is None else progress.lines():
            print(line)
    elif code == ExitStatus.SHORT:
        print("to go on: the command that made it, with --resume and a higher --nsteps")
    elif code == ExitStatus.STOPPED:
        print("to go on: the command that made it, with --resume, on any number of ranks")
    return code


def _now(path: Path, result: Result) -> tuple[str, LockOwner | None]:
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
        of = "" if result.open_ended else f"of {result.nsteps} "
        return f"{sum(result.steps)} {of}steps"
    of = "" if result.config.get("burnin") == "auto" else f"of {result.burnin} "
    return f"{min(result.burnin_steps)} {of}burn-in steps per ensemble"


def _status_of_none(path: Path, writer: LockOwner, as_json: bool) -> int:
    """Say that a job is at work that has not made its file yet."""
    if as_json:
        values = {"file": str(path), "status": "running", "exit_status": ExitStatus.BEING_WRITTEN}
        print(json.dumps({**values, "writer": str(writer)}))
    else:
        print(f"{path}: not there yet; {writer} began with it, {writer.since}")
    return ExitStatus.BEING_WRITTEN

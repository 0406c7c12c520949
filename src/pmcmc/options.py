"""The options of a run: one table for the command line, the TOML file and Python keywords.

This module loads neither numpy nor emcee: what is said of the options must be there before them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from .errors import UsageError
from .option_values import (
    Parse,
    above,
    choice,
    devices,
    duration,
    file_name,
    names,
    number_of_seconds,
    or_auto,
    switch,
    whole,
)
from .text import count_text, some_text


@dataclass(frozen=True)
class Option:
    """One option: how to read it, its default, and what to say of it.

    ``parse(name, value)`` takes the text of the command line or a native value.
    """

    name: str
    parse: Parse
    default: Any
    metavar: str | None  # None: a switch
    help: str


def _seed(name: str, value: Any) -> int:
    from .sampler.rng import MAX_SEED

    number: int = whole(0, MAX_SEED)(name, value)
    return number


def _moves(name: str, value: Any) -> Any:
    from .sampler.moves import check_moves, parse_moves

    if isinstance(value, str):
        parse_moves(value)
    else:
        check_moves(value)
    return value


def _option(default: Any, parse: Parse, metavar: str | None, help: str) -> Any:
    """Return a field of ``RunOptions``, with what ``Option`` holds besides its name."""
    about = {"parse": parse, "metavar": metavar, "help": help}
    return field(default=default, metadata=about)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of a run, each with its default; values as ``check`` returns them.

    None: off, drawn, or worked out from the model and the ranks.
    """

    output: str | None = _option(
        None, file_name, "FILE", "HDF5 file (default: the model's name + .h5, here)"
    )
    nsteps: int | str = _option(
        "auto",
        or_auto(1),
        "N",
        "kept production steps in total, over all ensembles; auto: until the draws are enough, at "
        "most 200,000",
    )
    burnin: int | str = _option(
        "auto",
        or_auto(0),
        "B",
        "steps per ensemble before production, in addition; auto: until it has settled",
    )
    rescue: bool | None = _option(
        None,
        switch,
        None,
        "at the end of burn-in redraw walkers that are trapped where no mass is (default: on with "
        "--burnin auto)",
    )
    nwalkers: int | None = _option(
        None, whole(2, 10**8), "W", "walkers per ensemble (default: max(32, 4 ndim))"
    )
    nensembles: int | None = _option(
        None,
        whole(1, 10**6),
        "K",
        "independent ensembles (default: 4, or what all ranks can work for; in split one per "
        "rank, with teams one per team, in pool 1)",
    )
    mode: str = _option(
        "auto",
        choice("auto", "split", "pool"),
        "auto|split|pool",
        "many teams of ranks, or one; auto: as suits the cost of log_prob",
    )
    teams: int | None = _option(None, whole(1, 10**6), "T", "that many teams, instead of --mode")
    schedule: str = _option(
        "auto",
        choice("auto", "static", "demand"),
        "auto|static|demand",
        "how a team shares out evaluations: in equal blocks, or one by one to whoever is free",
    )
    seed: int | None = _option(None, _seed, "S", "for the same draws again (default: drawn)")
    initial: str | None = _option(
        None,
        file_name,
        "FILE.h5",
        "begin where an earlier run's walkers were (default: as the model says)",
    )
    moves: str | Sequence[Any] | None = _option(
        None,
        _moves,
        "SPEC",
        "moves and weights, as in de:0.8,stretch:0.2; auto: a mixture (default: the model's, else "
        "auto)",
    )
    thin_by: int = _option(1, whole(1), "M", "keep every M-th step")
    until_ess: float | None = _option(
        None,
        above(0, "an effective number of draws"),
        "E",
        "stop when every parameter has that many effective draws (exit status 3: nsteps too few)",
    )
    until_rhat: float | None = _option(
        None,
        above(1, "an R-hat"),
        "R",
        "stop when the R-hat of every parameter is that low (exit status 3: nsteps too few)",
    )
    until_of: str = _option(
        "parameters",
        names,
        "NAMES",
        "what stop rules and verdict look at: parameters, derived, or names, as in m,ecc",
    )
    checkpoint: float = _option(
        60.0, number_of_seconds, "SECONDS", "write the draws at least this often"
    )
    max_time: float | None = _option(
        None, duration, "TIME", "commit and stop after that: 3h50m (exit status 75)"
    )
    stop_grace: float = _option(
        30.0,
        duration,
        "SECONDS",
        "at a stop wait so long for ranks that are in log_prob; then leave them, named",
    )
    resume: bool = _option(
        False, switch, None, "go on from the file, if there is one, to its target"
    )
    no_verify: bool = _option(
        False, switch, None, "a resume does not check the checksums of the draws"
    )
    overwrite: bool = _option(False, switch, None, "replace the file if pmcmc wrote it")
    break_lock: bool = _option(False, switch, None, "take over a file whose writer is surely gone")
    progress: bool | None = _option(
        None, switch, None, "show how far it is (default: bar or log lines)"
    )
    ranks_per_evaluation: int | None = _option(
        None,
        whole(1, 10**6),
        "R",
        "log_prob(theta, comm) is evaluated by R ranks together, with their communicator "
        "(default: 1)",
    )
    gpus: int | str = _option(
        "auto",
        devices,
        "auto|none|N",
        "GPUs of a host are given to its ranks in turn, before the model loads; none: hidden; N: "
        "so many of each host",
    )
    on_error: str = _option(
        "abort",
        choice("abort", "reject"),
        "abort|reject",
        "where log_prob raises, is NaN or +inf, or takes too long: end the job, or count it as "
        "-inf and record it",
    )
    log_prob_timeout: float | None = _option(
        None, duration, "SECONDS", "the most that one evaluation may take (default: no limit)"
    )
    keep_scratch: bool = _option(
        False, switch, None, "keep the folders of pmcmc.scratch() when the run ends"
    )
    dry_run: bool = _option(False, switch, None, "print the plan; sample nothing")

    @property
    def rescues(self) -> bool:
        """Whether trapped walkers are redrawn at the end of burn-in, if there is one."""
        return self.burnin != 0 and (self.burnin == "auto" if self.rescue is None else self.rescue)


OPTIONS = {f.name: Option(f.name, default=f.default, **f.metadata) for f in fields(RunOptions)}


def check_width(ranks: int, width: int) -> None:
    """Refuse a number of ranks per evaluation that does not divide the ranks.

    Raises
    ------
    UsageError
        With the numbers that fit.

    """
    if ranks % width:
        fits = [str(n) for n in (ranks // width * width, (ranks // width + 1) * width) if n]
        divisors = [str(n) for n in range(1, ranks + 1) if ranks % n == 0]
        raise UsageError(
            f"{count_text(ranks, 'rank')}, and --ranks-per-evaluation {width} does not divide "
            f"that: use {' or '.join(fits)} ranks, or --ranks-per-evaluation "
            f"{some_text(divisors, 8)}"
        )


# what others call the processes that share the work
_CORES = ("n", "np", "ncores", "cores", "nproc", "nprocs", "n_jobs", "nthreads", "processes")
_LISTED = 15  # names, at most, that a message lists where it has the likely one


def unknown(name: str, known: list[str], what: str) -> UsageError:
    """Return the error for a name that is not known: the likely one, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    if name.strip("-").replace("-", "_").lower() in _CORES:
        close = [one for one in known if one.strip("-") == "ranks"]
    hint = f" (did you mean {close[0]}?)" if close else ""
    if close and len(known) > _LISTED:
        return UsageError(f"there is no {what} {name}{hint}")
    return UsageError(f"there is no {what} {name}{hint}; the {what}s are {', '.join(known)}")


def check(
    values: Mapping[str, Any], what: str = "option", known: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the options that were given, read and checked: what ``RunOptions`` takes.

    Those that are None were not. ``known`` are all that there are, for the message about another
    name; by default those of a run.

    Raises
    ------
    UsageError
        For a name that is no option, a value that cannot be, or two that exclude each other.

    """
    found = {}
    for name, value in values.items():
        if name not in OPTIONS:
            raise unknown(name, list(known or OPTIONS), what)
        if value is not None:
            found[name] = OPTIONS[name].parse(name, value)
    if "teams" in found and "mode" in found:
        raise UsageError(
            f"teams is {found['teams']} and mode is {found['mode']}: give one of them"
        )
    if found.get("resume") and found.get("overwrite"):
        raise UsageError("resume goes on from the file, overwrite replaces it: give one of them")
    return found

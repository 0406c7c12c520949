"""Going on with a run: what comes from its file, what may change, what must not. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, StoreError, UsageError
from ..options import OPTIONS, RunOptions
from ..sampler.moves import parse_moves
from ..storage.place import shown_path
from ..storage.reader import RunReader
from ..storage.verify import verify
from ..text import some_text
from .rounding import tolerance

if TYPE_CHECKING:
    from .._types import Tick

# of one start, not of the run: these do not come from the file
OF_ONE_START = (
    "output",
    "resume",
    "no_verify",
    "overwrite",
    "break_lock",
    "dry_run",
    "progress",
    "max_time",
    "stop_grace",
    "gpus",
    "initial",
)
FIXED = ("seed", "nwalkers", "nensembles", "burnin", "rescue", "thin_by")


def check_draws(reader: RunReader, tick: Tick = lambda: None) -> None:
    """Make sure that the draws of a file are those that were written.

    Parameters
    ----------
    reader : RunReader
        Of the file.
    tick : callable
        Called now and then.

    Raises
    ------
    StoreError
        If some are not.

    """
    damaged = verify(reader, tick)
    if damaged:
        raise StoreError(
            f"{shown_path(reader.path)} cannot be resumed: its draws are not those that were "
            f"written ({some_text(list(map(str, damaged)))}). Nothing was changed. Go on from a "
            "copy that is whole, or, if these draws may be wrong, with --no-verify"
        )


def merge(found: Mapping[str, Any], reader: RunReader) -> RunOptions:
    """Return all options: those given now, else the file's.

    Parameters
    ----------
    found : mapping
        Those given, as `options.check` returns them.
    reader : RunReader
        Of the file.

    Returns
    -------
    RunOptions
        Without the file's moves where those are objects: the caller or the model gives them again.

    Raises
    ------
    UsageError
        If one was given that the draws depend on, and differs from the file's.

    """
    header = reader.header
    of_file = {
        "seed": header.seed,
        "nwalkers": header.nwalkers,
        "nensembles": len(header.steps),
        "burnin": "auto" if header.config.get("burnin") == "auto" else header.burnin,
        "rescue": header.config.get("rescue", False),  # files of before have none
        "thin_by": header.thin_by,
    }
    wrong = [
        f"{name} is {found[name]}, and {of_file[name]} in the file"
        for name in FIXED
        if name in found and found[name] != of_file[name]
    ]
    if wrong:
        raise UsageError(
            f"{reader.path} cannot be resumed with other settings, and nothing was changed: "
            f"{'; '.join(wrong)}. Leave them out, or begin another run with --output"
        )
    kept = {k: v for k, v in header.config.items() if k not in OF_ONE_START}
    if "mode" in found or "teams" in found:
        kept = {k: v for k, v in kept.items() if k not in ("mode", "teams")}
    if kept.get("moves") is not None and not _named(kept["moves"]):
        kept["moves"] = None  # objects: the caller or the model gives them again
    kept = {k: v for k, v in kept.items() if k in OPTIONS and v is not None}
    return RunOptions(**{**kept, **of_file, **found})


def goes_on(output: Path, found: Mapping[str, Any]) -> bool:
    """Tell whether there is a file that a job would go on from.

    Parameters
    ----------
    output : Path
        Of the run.
    found : mapping
        The options given, as `options.check` returns them.

    Raises
    ------
    UsageError
        If it could not, the draws depending on an option that differs.
    StoreError
        If the file cannot be read.

    """
    if not output.is_file():
        return False
    merge(found, RunReader(output))
    return True


def _named(moves: str) -> bool:
    try:
        parse_moves(moves)
    except UsageError:
        return False
    return True


def check_problem(settings: Mapping[str, Any], reader: RunReader) -> None:
    """Refuse a problem whose settings, moves included, differ from the file's.

    Parameters
    ----------
    settings : mapping
        Those of the problem now, as JSON can hold them.
    reader : RunReader
        Of the file.

    Raises
    ------
    ModelError
        With what differs.

    """
    before, settings = reader.header.settings, json.loads(json.dumps(settings))
    differing = [
        f"  {key}: {before.get(key)!r} in the file, {settings.get(key)!r} now"
        for key in sorted({*before, *settings})
        if before.get(key) != settings.get(key)
    ]
    if differing:
        raise ModelError(
            f"{reader.path} cannot be resumed with another problem, and nothing was changed:\n"
            + "\n".join(differing)
        )


def check_value(
    now: float, before: float, at: str, reader: RunReader, single: bool = False
) -> str | None:
    """Compare log_prob at a stored point with the file's.

    Parameters
    ----------
    now, before : float
        log_prob as evaluated now, and as stored.
    at : str
        The point in words, for the error message.
    reader : RunReader
        Of the file.
    single : bool
        Whether log_prob returns single precision. Default: False.

    Returns
    -------
    str or None
        A warning if it moved a little.

    Raises
    ------
    ModelError
        If they differ by more than `rounding.tolerance`.

    """
    if now == before:
        return None
    most = tolerance(single)
    if not abs(now - before) <= most * max(1.0, abs(before)) < math.inf:
        raise ModelError(
            f"{reader.path} cannot be resumed, and nothing was changed: at a stored point it has "
            f"log_prob {before!r}, and the model gives {now!r} now. The model or its data changed "
            f"since then, or it is not deterministic\n{at}"
        )
    return (
        f"log_prob at a stored point differs from the file's by {abs(now - before):.2g}, within "
        f"the tolerance of {most:.1g} (another machine, library version or compilation?): the run "
        "goes on, but not bit for bit as it would have"
    )


def check_target(shares: tuple[int, ...], reader: RunReader) -> None:
    """Refuse fewer steps than an ensemble already has.

    Parameters
    ----------
    shares : tuple of int
        Kept steps that each ensemble is to have.
    reader : RunReader
        Of the file.

    Raises
    ------
    UsageError
        With the least nsteps there can be.

    """
    count = len(shares)
    if any(done > share for done, share in zip(reader.rows, shares, strict=True)):
        least = max(int(r) * count - (count - 1 - e) for e, r in enumerate(reader.rows))
        raise UsageError(
            f"nsteps is {sum(shares)}, but {reader.path} already holds {reader.rows.sum()} steps, "
            f"up to {reader.rows.max()} in an ensemble: use --nsteps {least} or more"
        )

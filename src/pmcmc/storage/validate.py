"""Is a file what its header says? Asked before anything else is read, for files of strangers too.

HDF5 does what a file asks for: it reads and writes other files (external storage, virtual
datasets, links), makes arrays of any size, and code that trusts a count may run for ever or crash.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ..errors import UsageError
from ..model.derived import pick
from ..options import check as check_options
from .checkpoint import STATUSES, group_name, record_dtype
from .header import PHASES, Header
from .plain import (
    LONGEST_TEXT,
    Invalid,
    attribute,
    dataset,
    integer,
    numbers,
    plain_group,
    text,
)
from .reject_log import DATASET, KEPT, rejects_dtype

if TYPE_CHECKING:
    from .._types import AnyArray

_MOST = 2**48  # of any count
_INTEGERS = {  # attributes of the file, and the least of each
    "format_version": 1,
    "seed": 0,
    "nensembles": 1,
    "nwalkers": 2,
    "ndim": 1,
    "nsteps": 0,
    "burnin": 0,
    "thin_by": 1,
}
_TEXTS = ("format", "pmcmc_version", "problem", "fingerprint", "settings", "config")
_LATER = ("derived", "labels", "bounds", "origin")  # files of before have none
_USED = (
    "nsteps",
    "burnin",
    "rescue",
    "until_ess",
    "until_rhat",
    "until_of",
    "on_error",
    "ranks_per_evaluation",
)
_POSITIONS = 624  # of MT19937: numpy trusts them


def check_attributes(file: h5py.File) -> None:
    """Check the attributes of the file itself, before they are read.

    Parameters
    ----------
    file : h5py.File
        Open to be read.

    Raises
    ------
    Invalid
        If one is missing, or of another type or size, or out of range.

    """
    for name in (*_TEXTS, *(name for name in _LATER if name in file.attrs)):
        text(file, name)
    for name, least in _INTEGERS.items():
        most = 2**63 - 1 if name == "seed" else _MOST
        value = integer(file, name)
        if not least <= value <= most:
            raise Invalid(f"the attribute {name} is {value}: expected {least} to {most}")


def check_names(file: h5py.File) -> None:
    """Check the dataset of the parameters' names, before it is read.

    Raises
    ------
    Invalid
        If it is not one name for each parameter.

    """
    names = dataset(file, "parameter_names")
    if h5py.check_string_dtype(names.dtype) is None or names.shape != (int(file.attrs["ndim"]),):
        raise Invalid(
            f"parameter_names is {names.dtype} of shape {names.shape}: expected "
            f"{file.attrs['ndim']} texts"
        )
    if names.size > LONGEST_TEXT:
        raise Invalid(f"{names.size} parameters are more than a file can name")


def check_groups(file: h5py.File) -> None:
    """Check that the groups of all ensembles are there, and their datasets plain.

    Raises
    ------
    Invalid
        If not.

    """
    if "ensembles" not in (dataset(file, "state").dtype.names or ()):
        raise Invalid("/state holds no records")
    attrs = file.attrs
    w, d = int(attrs["nwalkers"]), int(attrs["ndim"])
    blobs: Any = None
    for e in range(int(attrs["nensembles"])):
        for phase in PHASES:
            group = plain_group(file, group_name(phase, e))
            chain = numbers(group, "chain", np.dtype("f8"))
            rows = chain.shape[0] if chain.ndim else -1
            if chain.shape[1:] != (w, d) or rows < 0:
                raise Invalid(f"{chain.name} has shape {chain.shape}: expected (step, {w}, {d})")
            if phase == "burnin" and rows != int(attrs["burnin"]):
                raise Invalid(f"{chain.name} has {rows} rows: expected {attrs['burnin']}")
            numbers(group, "log_prob", np.dtype("f8"), (rows, w))
            numbers(group, "accepted", np.dtype("f8"), (w,))
            has = numbers(group, "blobs", shape=(rows, w)) if "blobs" in group else None
            kind = None if has is None else has.dtype
            if e == 0 and phase == PHASES[0]:
                blobs = kind
            if kind != blobs or (kind is not None and kind.hasobject):
                raise Invalid(
                    f"{group.name} has blobs of type {kind}: expected {blobs}, no objects"
                )


def check_config(header: Header) -> None:
    """Check what is used of the options that a file holds as JSON.

    Raises
    ------
    Invalid
        If one is not what it can be.

    """
    if not isinstance(header.config, dict) or not isinstance(header.settings, dict):
        raise Invalid("its options or settings are no JSON object")
    fixed, order = header.settings.get("fixed", {}), header.settings.get("order", [])
    if not isinstance(fixed, dict) or not all(isinstance(x, float | int) for x in fixed.values()):
        raise Invalid("its fixed parameters are no numbers")
    if fixed and sorted(map(str, order)) != sorted([*header.names, *fixed]):
        raise Invalid("its fixed parameters have no place among the others")
    for name, place in header.derived:
        if not isinstance(place, int | str | None) or not _is_there(place, header.blobs):
            raise Invalid(f"its derived parameter {name!r} is not among the blobs")
    ends = (bound for pair in header.bounds for bound in pair if bound is not None)
    if len(header.bounds) not in (0, header.ndim) or not all(
        isinstance(bound, float | int) for bound in ends
    ):
        raise Invalid("its bounds of priors are not two numbers for each parameter")
    turns = header.settings.get("periodic", {})
    if not isinstance(turns, dict) or not all(map(_is_turn, turns.values())):
        raise Invalid("its periodic parameters are not names with two numbers each")
    for key in _USED:
        value = header.config.get(key)
        try:
            check_options({} if value is None else {key: value})
        except UsageError as exc:
            raise Invalid(f"its options cannot be: {exc}") from None


def _is_turn(value: Any) -> bool:
    """Tell whether these are the ends of a turn."""
    numbers = isinstance(value, list) and all(type(x) in (int, float) for x in value)
    return numbers and len(value) == 2 and -math.inf < value[0] < value[1] < math.inf


def _is_there(place: Any, blobs: np.dtype[Any] | None) -> bool:
    """Tell whether blobs have a number in one place."""
    if blobs is None or isinstance(place, bool):
        return False
    try:
        return bool(pick(np.zeros((1, 1), blobs), place).shape == (1, 1))
    except (ValueError, IndexError, KeyError, TypeError):
        return False


def check_state(file: h5py.File, header: Header) -> None:
    """Check the form of ``/state``, before it is read.

    Raises
    ------
    Invalid
        If it does not hold two records of such a run.

    """
    state = numbers(file, "state", shape=(2,))
    if state.dtype != record_dtype(header):
        raise Invalid("/state does not hold records of so many ensembles, walkers and parameters")


def check_rejects(file: h5py.File, header: Header) -> None:
    """Check the form of ``/rejects``, where there is one, before it is read.

    Raises
    ------
    Invalid
        If it does not hold rejected evaluations of such a run.

    """
    if DATASET not in file:
        return
    table = numbers(file, DATASET, shape=(KEPT,))
    if table.dtype != rejects_dtype(header.ndim):
        raise Invalid(f"/{DATASET} does not hold rejected evaluations of so many parameters")


def check_record(record: AnyArray, header: Header) -> None:
    """Check what the newest record says.

    Parameters
    ----------
    record : ndarray ()
        Whole, by its checksum.
    header : Header
        Of the file.

    Raises
    ------
    Invalid
        If it counts more than there is room for, or holds what nobody could have written.

    """
    if int(record["status"]) >= len(STATUSES):
        raise Invalid(f"its record has the status {int(record['status'])}")
    ensembles = record["ensembles"]
    # steps between kept ones may follow the last that has a row
    room = header.burnin + (np.array(header.steps) + 1) * header.thin_by - 1
    wrong = (ensembles["steps"] < 0) | (ensembles["steps"] > room)
    if wrong.any():
        e = int(np.flatnonzero(wrong)[0])
        raise Invalid(
            f"its record says {int(ensembles['steps'][e])} steps of ensemble {e}, which has room "
            f"for {int(room[e])}"
        )
    for name in ("burnin_accepted", "accepted"):
        counts = ensembles[name]
        if not ((counts >= 0) & (counts <= ensembles["steps"][:, None])).all():
            raise Invalid(f"its record has counts in {name} that are no number of steps")
    if header.rejects and (ensembles["rejected"] > _MOST).any():
        raise Invalid("its record has counts of rejected evaluations that are no number of steps")
    for name in ("random", "row_random"):
        positions, gauss = ensembles[name]["pos"], ensembles[name]["has_gauss"]
        if not ((positions >= 0) & (positions <= _POSITIONS) & (gauss >= 0) & (gauss <= 1)).all():
            raise Invalid("its record has a random state that numpy cannot be in")


def check_start(group: h5py.Group, header: Header) -> None:
    """Check a group of ``/start``, before it is read.

    Raises
    ------
    Invalid
        If it is not one step of an ensemble.

    """
    w, d = header.nwalkers, header.ndim
    numbers(group, "chain", np.dtype("f8"), (1, w, d))
    numbers(group, "log_prob", np.dtype("f8"), (1, w))
    if header.blobs is not None:
        numbers(group, "blobs", header.blobs.base, (1, w, *header.blobs.shape))
    redrawn = numbers(group, "redrawn", np.dtype("i8"))
    if redrawn.ndim != 1 or redrawn.size > w or not np.isin(redrawn[...], np.arange(w)).all():
        raise Invalid(f"{redrawn.name} does not hold numbers of walkers")
    key = attribute(group, "random_state_1")
    if key.dtype != np.uint32 or key.shape != (_POSITIONS,):
        raise Invalid(f"{group.name} has no random state")
    if not (0 <= integer(group, "random_state_2") <= _POSITIONS):
        raise Invalid(f"{group.name} has a random state that numpy cannot be in")

"""The layout of a run's HDF5 file: its attributes, groups, datasets and records.

Every dataset has its full size from creation and is contiguous: a commit changes no metadata of
HDF5 but the values of attributes, and what is not yet written is a hole in the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import h5py
import numpy as np

from .._version import __version__
from ..text import printable
from .checkpoint import group_name, record_dtype
from .header import PHASES, Header
from .reject_log import DATASET, KEPT, rejects_dtype
from .timings import new_table

if TYPE_CHECKING:
    from .._types import AnyArray


FORMAT, FORMAT_VERSION = "pmcmc", 1


@cache
def emcee_version() -> str:
    """Return the version of emcee, as HDFBackend wants it in a file; not looked for again."""
    from importlib import metadata  # slow to load, and no reader needs it

    return metadata.version("emcee")


def lay_out(file: h5py.File, header: Header) -> None:
    """Give an empty file its attributes, groups and datasets.

    Parameters
    ----------
    file : h5py.File
        Open to be written.
    header : Header
        Gives their values and full sizes.

    """
    file.attrs.update(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "pmcmc_version": __version__,
            "status": "running",
            "problem": header.problem,
            "fingerprint": header.fingerprint,
            "settings": json.dumps(header.settings),
            "seed": header.seed,
            "nensembles": len(header.steps),
            "nwalkers": header.nwalkers,
            "ndim": header.ndim,
            "nsteps": sum(header.steps),
            "burnin": header.burnin,
            "thin_by": header.thin_by,
            "config": json.dumps(header.config),
            "derived": json.dumps(header.derived),
            "labels": json.dumps(header.labels),
            "bounds": json.dumps(header.bounds),
            "origin": json.dumps(header.origin),
        }
    )
    file.create_dataset("parameter_names", data=list(header.names), dtype=h5py.string_dtype())
    _allocate(file, "state", (2,), record_dtype(header))
    file["state"][...] = np.zeros(2, record_dtype(header))
    if header.may_reject:
        _allocate(file, DATASET, (KEPT,), rejects_dtype(header.ndim))
    file.attrs["timings"] = new_table()  # no dataset: those are the same in all layouts
    for phase in PHASES:
        for e, steps in enumerate(header.steps):
            group = file.create_group(group_name(phase, e))
            lay_out_ensemble(group, header.burnin if phase == "burnin" else steps, header)


def lay_out_ensemble(group: h5py.Group, rows: int, header: Header) -> None:
    """Lay out one ensemble as emcee's HDFBackend does.

    Parameters
    ----------
    group : h5py.Group
        An empty one.
    rows : int
        Its full size.
    header : Header
        Of the file.

    """
    group.attrs.update(
        {
            "version": emcee_version(),
            "nwalkers": header.nwalkers,
            "ndim": header.ndim,
            "has_blobs": header.blobs is not None,
            "iteration": 0,
            "random_state_0": "MT19937",
            "random_state_1": np.zeros(624, dtype=np.uint32),
            "random_state_2": 0,
            "random_state_3": 0,
            "random_state_4": 0.0,
        }
    )
    group.create_dataset("accepted", data=np.zeros(header.nwalkers))
    _allocate(group, "chain", (rows, header.nwalkers, header.ndim), np.dtype("f8"))
    _allocate(group, "log_prob", (rows, header.nwalkers), np.dtype("f8"))
    if header.blobs is not None:
        _allocate(group, "blobs", (rows, header.nwalkers), header.blobs)


def _allocate(group: h5py.Group, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Create a contiguous dataset, its space taken at once and left unwritten (a hole)."""
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_layout(h5py.h5d.CONTIGUOUS)
    dcpl.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    dcpl.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(shape)
    kind = h5py.h5t.py_create(dtype, logical=True)
    h5py.h5d.create(group.id, name.encode(), kind, space, dcpl)


def read_header(file: h5py.File) -> Header:
    """Return the Header of a file.

    Parameters
    ----------
    file : h5py.File
        As ``lay_out`` made it; what h5py raises over a damaged one passes through.

    Returns
    -------
    Header

    """
    attrs = file.attrs
    groups = [file[group_name("ensembles", e)] for e in range(int(attrs["nensembles"]))]
    blobs = groups[0]["blobs"].dtype if "blobs" in groups[0] else None
    return Header(
        problem=printable(str(attrs["problem"])),
        names=tuple(printable(n.decode()) for n in file["parameter_names"][...]),
        fingerprint=str(attrs["fingerprint"]),
        settings=json.loads(attrs["settings"]),
        seed=int(attrs["seed"]),
        nwalkers=int(attrs["nwalkers"]),
        burnin=int(attrs["burnin"]),
        thin_by=int(attrs["thin_by"]),
        steps=tuple(g["chain"].shape[0] for g in groups),
        config=json.loads(attrs["config"]),
        blobs_dtype=None if blobs is None else blobs.base,
        blobs_shape=() if blobs is None else blobs.shape,
        derived=tuple(
            (printable(str(name)), place) for name, place in json.loads(attrs.get("derived", "[]"))
        ),
        labels={k: printable(str(v)) for k, v in json.loads(attrs.get("labels", "{}")).items()},
        bounds=tuple((low, high) for low, high in json.loads(attrs.get("bounds", "[]"))),
        origin={str(k): str(v) for k, v in json.loads(attrs.get("origin", "{}")).items()},
        checksums="checksums" in (file["state"].dtype["ensembles"].base.names or ()),
        rejects="reject_bytes" in (file["state"].dtype.names or ()),
    )


# ---- what emcee's HDFBackend and plain h5py read beside the record

# of each group: its name, attributes, and accepted (walker,)
EmceeAttributes: TypeAlias = "Iterable[tuple[str, Mapping[str, Any], AnyArray]]"


def write_emcee_attributes(file: h5py.File, groups: EmceeAttributes) -> None:
    """Write the attributes and counts of an ensemble's groups.

    Parameters
    ----------
    file : h5py.File
        Open to be written.
    groups : iterable of (str, mapping, ndarray)
        As `Checkpoint.emcee_attributes` gives them.

    """
    for name, values, accepted in groups:
        group = file[name]
        group["accepted"][...] = accepted
        for key, value in values.items():
            group.attrs.modify(key, value)


def emcee_attributes_match(file: h5py.File, groups: EmceeAttributes) -> bool:
    """Tell whether the attributes and counts of an ensemble's groups are these.

    Parameters
    ----------
    file : h5py.File
        As ``lay_out`` made it.
    groups : iterable of (str, mapping, ndarray)
        As `Checkpoint.emcee_attributes` gives them.

    Returns
    -------
    bool

    """
    try:
        return all(
            np.array_equal(file[name]["accepted"], accepted)
            and all(np.array_equal(file[name].attrs[k], v) for k, v in values.items())
            for name, values, accepted in groups
        )
    except (LookupError, OSError, RuntimeError, ValueError, TypeError):
        return False  # one is missing or damaged


def read_status(file: h5py.File) -> str | None:
    """Return the attribute, None where a writer was killed while its text was changing.

    A text of variable length lives apart from its attribute, and HDF5 writes the two in two steps.

    Parameters
    ----------
    file : h5py.File
        As ``lay_out`` made it.

    Returns
    -------
    {"running", "stopped", "finished"} or None

    """
    try:
        return str(file.attrs["status"])
    except OSError:
        return None

"""The layout of a run's HDF5 file: its attributes, groups, datasets and records.

Every dataset has its full size from creation and is contiguous: a commit changes no metadata of
HDF5 but the values of attributes, and what is not yet written is a hole in the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
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
_SCALAR = h5py.h5s.create(h5py.h5s.SCALAR)


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
    _allocate(file.id, "state", (2,), record_dtype(header))
    file["state"][...] = np.zeros(2, record_dtype(header))
    if header.may_reject:
        _allocate(file.id, DATASET, (KEPT,), rejects_dtype(header.ndim))
    file.attrs["timings"] = new_table()  # no dataset: those are the same in all layouts
    attributes = emcee_attributes_of(header)
    for phase in PHASES:
        file.create_group(phase)
        for e, steps in enumerate(header.steps):
            rows = header.burnin if phase == "burnin" else steps
            lay_out_ensemble(file, group_name(phase, e), rows, header, attributes)


def emcee_attributes_of(header: Header) -> list[tuple[bytes, Any, Any, AnyArray]]:
    """Return the attributes of a group as HDFBackend has them: name, type, space and value."""
    text = h5py.string_dtype()
    values: dict[str, AnyArray] = {
        "version": np.array(emcee_version(), dtype=text),
        "nwalkers": np.array(header.nwalkers),
        "ndim": np.array(header.ndim),
        "has_blobs": np.array(header.blobs is not None),
        "iteration": np.array(0),
        "random_state_0": np.array("MT19937", dtype=text),
        "random_state_1": np.zeros(624, dtype=np.uint32),
        "random_state_2": np.array(0),
        "random_state_3": np.array(0),
        "random_state_4": np.array(0.0),
    }
    return [
        (
            name.encode(),
            h5py.h5t.py_create(value.dtype, logical=True),
            h5py.h5s.create_simple(value.shape) if value.shape else _SCALAR,
            value,
        )
        for name, value in values.items()
    ]


def lay_out_ensemble(
    file: h5py.File,
    name: str,
    rows: int,
    header: Header,
    attributes: Sequence[tuple[bytes, Any, Any, AnyArray]],
) -> None:
    """Lay out one ensemble as emcee's HDFBackend does, without h5py's slow ways: there are many.

    Parameters
    ----------
    file : h5py.File
        Open to be written; the parents of the group are there.
    name : str
        Of its group, which is made.
    rows : int
        Its full size.
    header : Header
        Of the file.
    attributes : sequence
        As ``emcee_attributes_of`` returns them.

    """
    group = h5py.h5g.create(file.id, name.encode())
    for key, kind, space, value in attributes:
        h5py.h5a.create(group, key, kind, space).write(value)
    number = np.dtype("f8")
    _allocate(group, "accepted", (header.nwalkers,), number, unwritten=False)
    _allocate(group, "chain", (rows, header.nwalkers, header.ndim), number)
    _allocate(group, "log_prob", (rows, header.nwalkers), number)
    if header.blobs is not None:
        _allocate(group, "blobs", (rows, header.nwalkers), header.blobs)


def _allocate(
    group: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], unwritten: bool = True
) -> None:
    """Create a contiguous dataset, its space taken at once and left unwritten (a hole), or 0."""
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_layout(h5py.h5d.CONTIGUOUS)
    dcpl.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    if unwritten:
        dcpl.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(shape)
    kind = h5py.h5t.py_create(dtype, logical=True)
    h5py.h5d.create(group, name.encode(), kind, space, dcpl)


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
    names = [group_name("ensembles", e) for e in range(int(attrs["nensembles"]))]
    blobs = file[names[0]]["blobs"].dtype if "blobs" in file[names[0]] else None
    return Header(
        problem=printable(str(attrs["problem"])),
        names=tuple(printable(n.decode()) for n in file["parameter_names"][...]),
        fingerprint=str(attrs["fingerprint"]),
        settings=json.loads(attrs["settings"]),
        seed=int(attrs["seed"]),
        nwalkers=int(attrs["nwalkers"]),
        burnin=int(attrs["burnin"]),
        thin_by=int(attrs["thin_by"]),
        steps=tuple(h5py.h5d.open(file.id, f"{n}/chain".encode()).shape[0] for n in names),
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


def write_emcee_attributes(
    file: h5py.File,
    groups: EmceeAttributes,
    write_rows: Callable[[h5py.File, str, int, AnyArray], None],
) -> None:
    """Write the attributes and counts of an ensemble's groups.

    Parameters
    ----------
    file : h5py.File
        Open to be written.
    groups : iterable of (str, mapping, ndarray)
        As `Checkpoint.emcee_attributes` gives them.
    write_rows : callable
        Writes counts: of a file, into a dataset, from a row on, an array.

    """
    for name, values, accepted in groups:
        write_rows(file, f"{name}/accepted", 0, accepted)
        group = h5py.h5g.open(file.id, name.encode())  # h5py's own way takes five times as long
        for key, value in values.items():
            h5py.h5a.open(group, key.encode()).write(np.ascontiguousarray(value))


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

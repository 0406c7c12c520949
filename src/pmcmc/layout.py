"""The layout of a run's HDF5 file: its attributes, groups, datasets and records.

Every dataset has its full size from creation and is contiguous: a commit changes no metadata of
HDF5 but the values of attributes, and what is not yet written is a hole in the file.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import emcee
import h5py
import numpy as np
import numpy.typing as npt

from ._version import __version__

Array = npt.NDArray[Any]

FORMAT, FORMAT_VERSION = "pmcmc", 1
_RULES = ("until_ess", "until_rhat")
PHASES = ("burnin", "ensembles")
STATUSES = ("running", "stopped", "finished", "short")  # short: finished, of its stop rule
TIMED = 512  # ranks whose times a file keeps: what an attribute has room for
TIMING = np.dtype(
    [
        ("host", "S32"),
        ("wall", "f8"),  # seconds, of all jobs that worked on the file to an orderly end
        ("log_prob", "f8"),
        ("waiting", "f8"),
        ("writing", "f8"),
        ("evaluations", "i8"),
    ]
)
RANDOM = np.dtype([("key", "u4", (624,)), ("pos", "i8"), ("has_gauss", "i8"), ("cached", "f8")])


@dataclass(frozen=True)
class Header:
    """What a file says of its run, fixed at creation.

    ``steps`` are the kept production steps of each ensemble; ``blobs_dtype`` is None without
    blobs; ``config`` holds the options and ``settings`` what defines the problem, both JSON.
    """

    problem: str
    names: tuple[str, ...]
    fingerprint: str
    settings: dict[str, Any]
    seed: int
    nwalkers: int
    burnin: int
    thin_by: int
    steps: tuple[int, ...]
    config: dict[str, Any]
    blobs_dtype: np.dtype[Any] | None = None
    blobs_shape: tuple[int, ...] = ()

    @property
    def asked(self) -> tuple[Any, ...]:
        """What may change when a run goes on, and is to be seen in its file."""
        return (self.steps, self.burnin, *(self.config.get(k) for k in _RULES))

    @property
    def ndim(self) -> int:
        """Number of parameters."""
        return len(self.names)

    @property
    def row_bytes(self) -> int:
        """Bytes of one step of one ensemble."""
        blobs = self.blobs.itemsize if self.blobs else 0
        return self.nwalkers * (8 * (self.ndim + 1) + blobs)

    @property
    def blobs(self) -> np.dtype[Any] | None:
        """The dtype of one walker's blobs, None without."""
        if self.blobs_dtype is None:
            return None
        return np.dtype((self.blobs_dtype, self.blobs_shape))

    def record_dtype(self) -> np.dtype[Any]:
        """Return the dtype of a record: the state of all ensembles at a commit."""
        w = self.nwalkers
        one: list[Any] = [
            ("steps", "i8"),  # steps taken, burn-in and steps between kept ones included
            ("burnin_accepted", "f8", (w,)),
            ("accepted", "f8", (w,)),
            ("coords", "f8", (w, self.ndim)),
            ("log_prob", "f8", (w,)),
            ("random", RANDOM),  # after the last step
            ("row_random", RANDOM, (len(PHASES),)),  # after the last row of each phase
        ]
        if self.blobs:
            one.append(("blobs", self.blobs, (w,)))
        return np.dtype(
            [
                ("sequence", "u8"),
                ("crc", "u8"),
                ("status", "u8"),
                ("ensembles", one, (len(self.steps),)),
            ]
        )


def shown(status: str) -> str:
    """Return a status as the file's attribute has it."""
    return "finished" if status == "short" else status


def group_name(phase: str, ensemble: int) -> str:
    """Return the name of an ensemble's group."""
    return f"{phase}/{ensemble:04d}"


def lay_out(file: h5py.File, header: Header) -> None:
    """Give an empty file its attributes, groups and datasets."""
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
        }
    )
    file.create_dataset("parameter_names", data=list(header.names), dtype=h5py.string_dtype())
    _allocate(file, "state", (2,), header.record_dtype())
    file["state"][...] = np.zeros(2, header.record_dtype())
    file.attrs["timings"] = np.zeros(
        TIMED, TIMING
    )  # no dataset: those are the same in all layouts
    for phase in PHASES:
        for e, steps in enumerate(header.steps):
            group = file.create_group(group_name(phase, e))
            _lay_out_ensemble(group, header.burnin if phase == "burnin" else steps, header)


def _lay_out_ensemble(group: h5py.Group, rows: int, header: Header) -> None:
    """Lay out one ensemble as emcee's HDFBackend does."""
    group.attrs.update(
        {
            "version": emcee.__version__,
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
    """Return the Header of a file."""
    attrs = file.attrs
    groups = [file[group_name("ensembles", e)] for e in range(int(attrs["nensembles"]))]
    blobs = groups[0]["blobs"].dtype if "blobs" in groups[0] else None
    return Header(
        problem=str(attrs["problem"]),
        names=tuple(n.decode() for n in file["parameter_names"][...]),
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
    )


def checksum(record: Array) -> int:
    """Return the checksum of a record: of its number, status and states."""
    head = int(record["sequence"]) * len(STATUSES) + int(record["status"])
    return zlib.crc32(record["ensembles"].tobytes(), head & 0xFFFFFFFF)


# ---- what emcee's HDFBackend and plain h5py read beside the record

Shown = Iterable[
    tuple[str, Mapping[str, Any], Array]
]  # of a group: its name, attributes, accepted


def show(file: h5py.File, groups: Shown) -> None:
    """Write the attributes and counts of an ensemble's groups."""
    for name, values, accepted in groups:
        group = file[name]
        group["accepted"][...] = accepted
        for key, value in values.items():
            group.attrs.modify(key, value)


def is_shown(file: h5py.File, groups: Shown) -> bool:
    """Tell whether the attributes and counts of an ensemble's groups are these."""
    return all(
        np.array_equal(file[name]["accepted"], accepted)
        and all(np.array_equal(file[name].attrs[k], v) for k, v in values.items())
        for name, values, accepted in groups
    )


def shown_status(file: h5py.File) -> str | None:
    """Return the attribute, None where a writer was killed while its text was changing.

    A text of variable length lives apart from its attribute, and HDF5 writes the two in two steps.
    """
    try:
        return str(file.attrs["status"])
    except OSError:
        return None

"""Where production starts if walkers were redrawn after burn-in: ``/start/0000`` and so on.

Each is one step in the layout of emcee's HDFBackend, so that its ``get_last_sample`` is the State
from which plain emcee makes the draws again; ``redrawn`` holds the numbers of those walkers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import h5py
import numpy as np

from ..sampler.state import ProductionStart
from . import plain, validate
from .header import Header
from .layout import emcee_attributes_of, lay_out_ensemble

_GROUP = "start"


def write_starts(file: h5py.File, header: Header, starts: Iterable[ProductionStart]) -> None:
    """Write where ensembles start.

    Parameters
    ----------
    file : h5py.File
        As `layout.lay_out` made it, without any.
    header : Header
        Of the file.
    starts : iterable of ProductionStart
        Of ensembles some of whose walkers were redrawn.

    """
    attributes = emcee_attributes_of(header)
    for start in starts:
        file.require_group(_GROUP)
        name = f"{_GROUP}/{start.ensemble:04d}"
        lay_out_ensemble(file, name, 1, header, attributes)
        group = file[name]
        group["chain"][0] = start.coords
        group["log_prob"][0] = start.log_prob
        if start.blobs is not None:
            group["blobs"][0] = start.blobs
        group.create_dataset("redrawn", data=np.array(start.redrawn, dtype=np.int64))
        group.attrs["iteration"] = 1
        for k, value in enumerate(start.random_state):
            group.attrs[f"random_state_{k}"] = value


def read_starts(file: h5py.File, header: Header) -> Mapping[int, ProductionStart]:
    """Return where ensembles start, by their numbers.

    Parameters
    ----------
    file : h5py.File
        As `layout.lay_out` made it; what h5py raises over a damaged one passes through.
    header : Header
        Of the file.

    Returns
    -------
    mapping of int to ProductionStart
        Of ensembles some of whose walkers were redrawn.

    """
    starts = {}
    parent = plain.plain_group(file, _GROUP) if _GROUP in list(file) else {}
    for name in parent:
        if not name.isdigit() or int(name) >= len(header.steps):
            raise plain.Invalid(f"/{_GROUP}/{name} is of no ensemble")
        group = plain.plain_group(parent, name)
        validate.check_start(group, header)
        starts[int(name)] = ProductionStart(
            ensemble=int(name),
            redrawn=tuple(int(w) for w in group["redrawn"]),
            coords=group["chain"][0],
            log_prob=group["log_prob"][0],
            blobs=group["blobs"][0] if "blobs" in group else None,
            random_state=tuple(group.attrs[f"random_state_{k}"] for k in range(5)),
        )
    return starts

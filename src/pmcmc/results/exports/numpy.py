"""Draws as numpy arrays in an npz file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..result import Result
from .names import about


def write_npz(result: Result, path: Path) -> list[Path]:
    """Write an npz file.

    Parameters
    ----------
    result : Result
        With a draw in each ensemble.
    path : Path
        Where.

    Returns
    -------
    list of Path
        The file: chain (ensemble, step, walker, ndim), log_prob (ensemble, step, walker),
        derived (ensemble, step, walker, k), blobs, the names, acceptance_fraction, seed, and
        about, what there is to tell of the run as JSON.

    """
    arrays: dict[str, Any] = {
        "chain": result.get_chain(),
        "log_prob": result.get_log_prob(),
        "parameter_names": np.array(result.names),
        "acceptance_fraction": result.acceptance_fraction,
        "seed": np.array(result.seed),
        "about": np.array(json.dumps(about(result))),
    }
    if result.derived:
        arrays["derived"] = result.get_derived()
        arrays["derived_names"] = np.array(result.derived)
    blobs = result.get_blobs()
    if blobs is not None and not blobs.dtype.hasobject:
        arrays["blobs"] = blobs
    with path.open("wb") as file:  # np.savez would add .npz to the name
        np.savez_compressed(file, **arrays)
    return [path]

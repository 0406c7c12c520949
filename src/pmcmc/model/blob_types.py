"""The types of blobs: which a file can keep, and which dtype to give where none is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ModelError


def are_numeric(blobs: Sequence[Any]) -> bool:
    """Tell whether the blobs of one row are numbers of one shape."""
    try:
        return np.array([blobs]).dtype.kind in "biuf"
    except ValueError:  # ragged
        return False


def check_blobs_dtype(given: Any) -> np.dtype[Any]:
    """Return what a model gives as ``blobs_dtype``.

    Raises
    ------
    ModelError
        If it is no dtype, or one that HDF5 cannot keep without pickle.

    """
    try:
        dtype: np.dtype[Any] = np.dtype(given)
    except TypeError:
        raise ModelError(
            f"blobs_dtype is {given!r}, which numpy does not take as a dtype"
        ) from None
    if not _kinds(dtype) <= set("biufcS"):
        raise ModelError(
            f"blobs_dtype is {dtype}: objects, unicode strings and dates cannot be kept in HDF5 "
            'without pickle; use numbers, or byte strings of fixed length such as "S16"'
        )
    return dtype


def _kinds(dtype: np.dtype[Any]) -> set[str]:
    if dtype.names:
        return set().union(*(_kinds(dtype[name]) for name in dtype.names))
    return _kinds(dtype.base) if dtype.subdtype else {dtype.kind}


def suggest_dtype(blobs: Sequence[Any]) -> str:
    """Return a dtype for the blobs of one row, as a model would give it."""
    fields: list[tuple[Any, ...]] = []
    for i, blob in enumerate(blobs):
        if isinstance(blob, str | bytes):
            fields.append((f"blob{i}", f"S{max(16, len(blob))}"))
            continue
        try:
            kind = {"c": "c16"}.get(np.asarray(blob).dtype.kind, "f8")
            if np.asarray(blob).dtype.kind not in "biufc":
                kind = "S16"
        except ValueError:
            kind = "S16"
        shape = () if kind == "S16" else np.shape(blob)
        fields.append((f"blob{i}", kind, shape) if shape else (f"blob{i}", kind))
    return repr(fields)


def are_ascii(blobs: Sequence[Any]) -> bool:
    """Tell whether the texts among the blobs of one row are ASCII."""
    return all(blob.isascii() for blob in blobs if isinstance(blob, str))

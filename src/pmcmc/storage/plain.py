"""Groups, datasets and attributes that are in a file itself, of the type that they ought to be.

HDF5 does what a file asks for: it reads other files (external storage, virtual datasets, links)
and makes arrays of any size. What is returned here does none of that.
"""

from __future__ import annotations

import os
from typing import Any

import h5py
import numpy as np

LONGEST_TEXT = 2**24  # bytes of an attribute


class Invalid(ValueError):
    """A file is not what it says; the message tells what is wrong, and where."""


def plain_group(file: h5py.Group, name: str) -> h5py.Group:
    """Return a group that is in this file itself.

    Parameters
    ----------
    file : h5py.Group
        Where to begin.
    name : str
        A path from there.

    Returns
    -------
    h5py.Group

    Raises
    ------
    Invalid
        If it is missing, or reached by a link, or no group.

    """
    found = file
    for part in name.split("/"):
        _check_link(found, part)
        found = found[part]
        if not isinstance(found, h5py.Group):
            raise Invalid(f"{found.name} is no group")
    return found


def dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """Return a dataset that is in this file itself, in one contiguous block.

    Parameters
    ----------
    group : h5py.Group
        Where it is.
    name : str
        Its own.

    Raises
    ------
    Invalid
        If it is missing, reached by a link, no dataset, or its values are elsewhere.

    """
    _check_link(group, name)
    found = group[name]
    if not isinstance(found, h5py.Dataset):
        raise Invalid(f"{found.name} is no dataset")
    properties = found.id.get_create_plist()
    if properties.get_external_count():
        raise Invalid(f"{found.name} has its values in another file")
    if properties.get_layout() not in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT):
        raise Invalid(f"{found.name} is chunked or virtual: expected one contiguous block")
    return found


def numbers(
    group: h5py.Group,
    name: str,
    dtype: np.dtype[Any] | None = None,
    shape: tuple[int, ...] | None = None,
) -> h5py.Dataset:
    """Return a dataset of numbers that lies within the file.

    Parameters
    ----------
    group, name
        As for `dataset`, with its errors.
    dtype : dtype, optional
        Default: any without objects.
    shape : tuple of int, optional
        Default: any.

    Raises
    ------
    Invalid
        If it is of another type or shape, or larger than the file.

    """
    found = dataset(group, name)
    if dtype is not None and found.dtype != dtype:
        raise Invalid(f"{found.name} holds {found.dtype}: expected {dtype}")
    if found.dtype.hasobject:
        raise Invalid(f"{found.name} holds objects")
    if shape is not None and found.shape != shape:
        raise Invalid(f"{found.name} has shape {found.shape}: expected {shape}")
    needed = found.size * found.dtype.itemsize if found.shape is not None else -1
    if needed < 0 or needed > int(group.file.id.get_filesize()):
        raise Invalid(f"{found.name} is larger than the file")
    return found


def attribute(owner: h5py.Group, name: str) -> h5py.h5a.AttrID:
    """Return an attribute, which is not read yet.

    Parameters
    ----------
    owner : h5py.Group
        Whose.
    name : str
        Its own.

    Raises
    ------
    Invalid
        If it is missing, or too large.

    """
    try:
        found = h5py.h5a.open(owner.id, name.encode())
    except (KeyError, OSError, RuntimeError):
        raise Invalid(f"the attribute {name} of {owner.name} is missing") from None
    if found.get_storage_size() > LONGEST_TEXT:
        raise Invalid(f"the attribute {name} of {owner.name} is larger than any of pmcmc's")
    return found


def integer(owner: h5py.Group, name: str) -> int:
    """Return an attribute that is an integer; as `attribute`, and Invalid if it is none."""
    found = attribute(owner, name)
    if found.shape != () or found.dtype.kind not in "iu":
        raise Invalid(
            f"the attribute {name} of {owner.name} is {found.dtype} of shape {found.shape}: "
            "expected an integer"
        )
    return int(owner.attrs[name])


def text(owner: h5py.Group, name: str) -> str:
    """Return an attribute that is a text; as `attribute`, and Invalid if it is none."""
    found = attribute(owner, name)
    if found.shape != () or h5py.check_string_dtype(found.dtype) is None:
        raise Invalid(
            f"the attribute {name} of {owner.name} is {found.dtype} of shape {found.shape}: "
            "expected a text"
        )
    value = str(owner.attrs[name])
    try:
        value.encode()
    except UnicodeError:
        raise Invalid(f"the attribute {name} of {owner.name} is no UTF-8") from None
    return value


def _check_link(group: h5py.Group, name: str) -> None:
    try:
        link = group.get(name, getlink=True)
    except (KeyError, ValueError, RuntimeError):
        raise Invalid(f"{os.path.join(group.name, name)} is missing") from None
    if not isinstance(link, h5py.HardLink):
        raise Invalid(f"{os.path.join(group.name, name)} is a link, to another place or file")

"""A problem as a file, for ranks that pmcmc starts itself: what a notebook made, by value.

The file holds a pickle, which can run anything as it is opened: it is read only by who wrote it,
and only in the job that it was made for.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..pickles import pack_by_dill, unpack_by_dill, unpicklable

TOKEN = "PMCMC_PROBLEM_TOKEN"  # in the environment of the job that a file was made for
_MAGIC = b"pmcmc problem 1\n"
_LONGEST = 2**20  # bytes of what stands before the pickle


def write_problem(problem: Any, path: Path) -> str:
    """Write a problem to a new file that its owner alone can read.

    Parameters
    ----------
    problem : Problem
        Sent by dill: functions of notebooks and scripts by value. Large arrays are not copied.
    path : Path
        Ends in ``.problem``.

    Returns
    -------
    str
        The token that opens it.

    Raises
    ------
    ModelError
        If dill cannot pickle it.
    OSError
        If it cannot be written, or is there.

    """
    try:
        buffers = pack_by_dill(problem)
    except Exception as exc:
        found = unpicklable(problem.posterior) or unpicklable(problem)
        what = found or "something in it, or that its functions use,"
        raise ModelError(
            f"the problem cannot be sent to other processes: {what} cannot be pickled by dill "
            f"({type(exc).__name__}: {exc}); make it where it is used, or load it in a module"
        ) from None
    token = secrets.token_hex(16)
    about = {
        "token": token,
        "sizes": [buffer.nbytes for buffer in buffers],
        "path": module_folders(),
    }
    head = json.dumps(about).encode()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(_MAGIC + len(head).to_bytes(8, "little") + head)
        for buffer in buffers:
            file.write(buffer)
    return token


def read_problem(path: Path, env: Mapping[str, str]) -> Any:
    """Return the problem in a file, if this job may open it.

    Parameters
    ----------
    path : Path
        Of the file.
    env : mapping
        The environment, which has the token.

    Raises
    ------
    ModelError
        If it is not there, another user's, open to others, of another job, or cannot be loaded.

    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as exc:
        raise ModelError(f"the problem {path} cannot be read: {exc.strerror}") from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
        if not ours or status.st_mode & 0o077:
            raise ModelError(f"the problem {path} is not a file of yours that others cannot read")
        about = _head(file.read(len(_MAGIC) + 8), file)
        if about is None or sum(about["sizes"]) > status.st_size:
            raise ModelError(f"{path} is not a problem that pmcmc wrote")
        if not secrets.compare_digest(about["token"], env.get(TOKEN, "")):
            raise ModelError(f"the problem {path} is that of another job")
        buffers = [np.empty(size, dtype=np.uint8) for size in about["sizes"]]
        for buffer in buffers:
            file.readinto(buffer.data)
    look_in(about["path"])
    try:
        return unpack_by_dill(buffers)
    except Exception as exc:
        raise ModelError(
            f"the problem cannot be loaded in another process ({type(exc).__name__}: {exc})"
        ) from exc


def module_folders() -> list[str]:
    """Return the folders that modules come from, also those of modules that are loaded.

    An entry of ``sys.path`` may be relative, and the working directory have been another.
    """
    found = [os.path.abspath(entry) for entry in sys.path]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and "." not in name:
            folder = os.path.dirname(os.path.abspath(file))
            found.append(os.path.dirname(folder) if hasattr(module, "__path__") else folder)
    return list(dict.fromkeys(found))


def look_in(folders: list[str]) -> None:
    """Let modules be imported from these folders too, after all others."""
    sys.path += [folder for folder in folders if folder not in sys.path]


def _head(start: bytes, file: Any) -> dict[str, Any] | None:
    size = int.from_bytes(start[len(_MAGIC) :], "little")
    if not start.startswith(_MAGIC) or size > _LONGEST:
        return None
    try:
        about = json.loads(file.read(size))
    except ValueError:
        return None
    sizes = about.get("sizes") if isinstance(about, dict) else None
    whole = isinstance(sizes, list) and all(isinstance(n, int) and n >= 0 for n in sizes)
    return about if whole and sizes and isinstance(about.get("token"), str) else None

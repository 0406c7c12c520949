"""Values as bytes: a pickle, and the large arrays beside it, which are not copied into it.

They are sent, or written, from where they are, and stay where they arrive.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .tracebacks import MODEL_FILE

_APART = 2**16  # bytes of an array that is worth a place of its own


def pack(value: Any, pickler: Callable[..., Any] = pickle.Pickler) -> list[memoryview]:
    """Return a value as a pickle and its large arrays, which are not copied.

    Parameters
    ----------
    value : object
        What can be pickled.
    pickler : callable
        Takes what ``pickle.Pickler`` takes, which is the default.

    Returns
    -------
    list of memoryview
        The pickle, then the bytes of arrays of 64 KiB or more, which are the value's own.

    """
    file, apart = io.BytesIO(), []

    def in_band(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes >= _APART:
            apart.append(raw)
        return raw.nbytes < _APART

    pickler(file, protocol=5, buffer_callback=in_band).dump(value)
    return [file.getbuffer(), *apart]


def unpack(buffers: list[Any], loads: Callable[..., Any] = pickle.loads) -> Any:
    """Return the value that was packed; its large arrays are the buffers, not copies.

    Parameters
    ----------
    buffers : list of bytes-like
        As ``pack`` returned them, or what came of them.
    loads : callable
        Opens a pickle. Default: ``pickle.loads``.

    Returns
    -------
    object

    """
    return loads(buffers[0], buffers=buffers[1:])


def pack_by_dill(value: Any) -> list[memoryview]:
    """``pack`` what pickle cannot: functions and classes that no other rank can import.

    Parameters
    ----------
    value : object
        What dill can pickle.

    Returns
    -------
    list of memoryview
        As ``pack``.

    """
    import dill

    class Pickler(dill.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            """Leave arrays to numpy, and let modules go by name: dill would take in both whole."""
            if type(obj) is types.ModuleType and sys.modules.get(obj.__name__) is obj:
                by_name = obj.__name__ != "__main__"
                return (importlib.import_module, (obj.__name__,)) if by_name else NotImplemented
            if type(obj) is not np.ndarray:
                return NotImplemented
            # Python shares bytes objects of no byte or one, and its pickler fails over the second
            return obj.__reduce_ex__(5 if obj.nbytes > 1 else 4)

    with _unknown(MODEL_FILE):
        return pack(value, lambda file, **options: Pickler(file, recurse=True, **options))


@contextlib.contextmanager
def _unknown(prefix: str) -> Iterator[None]:
    """Let modules be as if nobody could import them: what is theirs goes along whole."""
    known = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(prefix)}
    try:
        yield
    finally:
        sys.modules.update(known)


def unpicklable(owner: Any) -> str | None:
    """Return what of an object, or of what its functions use, dill cannot pickle, in words.

    Parameters
    ----------
    owner : object
        Whose attributes are looked at.

    Returns
    -------
    str or None
        The name and type of the first that is found; None where each goes alone.

    """
    for name, value in _parts(owner):
        try:
            pack_by_dill(value)
        except Exception:  # whatever an object's own code raises: its name is the answer
            return f"{name} (of type {type(value).__name__})"
    return None


def _parts(owner: Any) -> Iterator[tuple[str, Any]]:
    """Give what the functions of an object use, by name, and what its tuples and dicts hold."""
    for key, value in vars(owner).items():
        if callable(value):
            function = inspect.unwrap(getattr(value, "__func__", value))
            if inspect.isfunction(function):
                used = inspect.getclosurevars(function)
                for name, part in {**used.nonlocals, **used.globals}.items():
                    yield f"{name} in {function.__name__}", part
            for name, part in getattr(getattr(value, "__self__", None), "__dict__", {}).items():
                yield f"{type(value.__self__).__name__}.{name}", part
        elif isinstance(value, tuple):
            yield from ((f"{key}[{i}]", part) for i, part in enumerate(value))
        elif isinstance(value, dict):
            yield from ((f"{key}[{name!r}]", part) for name, part in value.items())


def unpack_by_dill(buffers: list[Any]) -> Any:
    """Return the value that ``pack_by_dill`` was given.

    Parameters
    ----------
    buffers : list of bytes-like
        As for ``unpack``.

    Returns
    -------
    object

    """
    import dill

    return unpack(buffers, dill.loads)

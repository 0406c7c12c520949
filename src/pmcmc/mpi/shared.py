"""One copy of large data on each node, for the model of every rank there."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..tracebacks import last_line

if TYPE_CHECKING:
    from .._types import AnyArray
    from .control import ControlChannel

_numbers = itertools.count(1)
_channel: list[Any] = [None]  # of the run that loads its model
_alone = [False]  # whether this process works by itself, whatever launched it
_windows: list[Any] = []  # kept as long as the arrays in them may be read


@dataclass(frozen=True)
class Sharing:
    """A rank to rank 0: it has come to its so many-th call of ``shared``."""

    number: int


@dataclass(frozen=True)
class _Plan:
    """Where the arrays of a node are: their shapes and types, or the file that holds them."""

    error: str = ""
    arrays: tuple[tuple[tuple[int, ...], Any], ...] = ()
    form: Any = None
    files: tuple[tuple[Any, ...] | None, ...] = ()


@contextlib.contextmanager
def sharing(control: ControlChannel) -> Iterator[None]:
    """Let ranks share data while they load a model."""
    _channel[0] = control
    try:
        yield
    finally:
        _channel[0] = None


def work_alone() -> None:
    """Say that this process loads models for itself, though a launcher may have started it."""
    _alone[0] = True


def refuse_mixed(values: list[Any]) -> None:
    """Refuse a meeting of ranks of which some came from ``shared``.

    Raises
    ------
    ModelError
        If so.

    """
    calls = [value.number if isinstance(value, Sharing) else 0 for value in values]
    if len(set(calls)) > 1:
        most = calls.index(max(calls))
        least = calls.index(min(calls))
        raise ModelError(
            f"pmcmc.shared is collective: rank {most} has come to call {calls[most]} of it, and "
            f"rank {least} {'to none' if not calls[least] else f'to call {calls[least]}'} as it "
            "loads the model. Every rank has to make the same calls"
        )


def shared(loader: Callable[[], Any]) -> Any:
    """Return large data of which the ranks of a node hold one copy together.

    It is called while the model is loaded, by every rank; on one rank, or where nothing is
    sampled, it simply loads.

    Parameters
    ----------
    loader : callable
        Takes no arguments, and returns an array, or a tuple, list or dict of arrays. One rank of
        each node calls it.

    Returns
    -------
    ndarray, or tuple, list or dict of ndarray
        As the loader returned them, read-only: in shared memory of the node (an MPI window), or
        mapped from the file where it is a ``numpy.memmap``.

    Raises
    ------
    ModelError
        If the loader fails on a node, returns something else, or another rank does not make this
        call.

    """
    control = _channel[0]
    if control is not None:
        return _share(control, loader)
    module = sys.modules.get("mpi4py.MPI")
    if _alone[0] or not (_launched() or (module is not None and module.Is_initialized())):
        return _alone_with(loader)
    from .control import ControlChannel
    from .startup import world

    ranks = world()
    if ranks.Get_size() == 1:
        return _alone_with(loader)
    control = ControlChannel(ranks)  # a script that calls pmcmc.run later on
    try:
        found = _share(control, loader)
    except BaseException as exc:
        control.end(exc)
    control.close()
    return found


def _launched() -> bool:
    from .startup import launched

    return max(launched(os.environ).values(), default=1) > 1


def _alone_with(loader: Callable[[], Any]) -> Any:
    form, arrays = _take_apart(loader())
    for array in arrays:
        array.flags.writeable = False
    return _put_together(form, arrays)


def _share(control: ControlChannel, loader: Callable[[], Any]) -> Any:
    if control.size == 1:
        return _alone_with(loader)
    from mpi4py import MPI

    from .waiting import wait_for

    mine = Sharing(next(_numbers))

    def decide(values: list[Any]) -> Sharing:
        refuse_mixed(values)
        return mine

    if not isinstance(control.gather_and_decide(mine, decide), Sharing):
        raise ModelError("pmcmc.shared is collective: rank 0 does not make this call")
    node = control.comm.Split_type(MPI.COMM_TYPE_SHARED)
    plan, arrays = _Plan(), list[Any]()
    if node.Get_rank() == 0:
        try:
            form, arrays = _take_apart(loader())
            files = tuple(map(_file_of, arrays))
            shapes = tuple((array.shape, array.dtype) for array in arrays)
            plan = _Plan("", shapes, form, files)
        except Exception as exc:
            plan = _Plan(f"pmcmc.shared: the loader failed{control.where}: {last_line(exc)}")
    ready = node.Ibarrier()  # others wait politely, as long as it takes
    wait_for(ready.Test)
    plan = node.bcast(plan, root=0)
    if plan.error:
        node.Free()
        raise ModelError(plan.error)
    found = []
    for k, ((shape, kind), file) in enumerate(zip(plan.arrays, plan.files, strict=True)):
        source = arrays[k] if arrays else None
        found.append(_map(file) if file is not None else _in_window(node, shape, kind, source))
        if arrays:
            arrays[k] = None  # its memory may go
    node.Free()
    return _put_together(plan.form, found)


def _in_window(node: Any, shape: tuple[int, ...], kind: Any, source: Any) -> AnyArray:
    """Return an array in memory that the ranks of a node share, filled by the first of them."""
    import numpy as np
    from mpi4py import MPI

    size = int(np.prod(shape)) * kind.itemsize
    own = max(size, 1) if node.Get_rank() == 0 else 0
    window = MPI.Win.Allocate_shared(own, kind.itemsize or 1, comm=node)
    memory: Any = window.Shared_query(0)[0]
    array: AnyArray = np.frombuffer(memory, np.uint8)[:size].view(kind).reshape(shape)
    if source is not None:
        array[...] = source
    node.Barrier()
    window.Fence()
    array.flags.writeable = False
    _windows.append(window)
    return array


def _file_of(array: Any) -> tuple[Any, ...] | None:
    """Return what it takes to map the file of a memory map; None for any other array."""
    import numpy as np

    if not isinstance(array, np.memmap) or array.filename is None:
        return None
    if not isinstance(array.base, np.memmap) and array.nbytes:  # the whole map, no part of one
        order = "C" if array.flags.c_contiguous else "F"
        return (os.path.abspath(array.filename), array.dtype, array.offset, array.shape, order)
    return None


def _map(file: tuple[Any, ...]) -> AnyArray:
    import numpy as np

    name, kind, offset, shape, order = file
    return np.memmap(name, kind, "r", offset, shape, order)


def _take_apart(data: Any) -> tuple[Any, list[AnyArray]]:
    """Return the form of what a loader gave, and its arrays."""
    import numpy as np

    form: tuple[str, Any]
    if isinstance(data, dict):
        form, values = ("dict", list(data)), list(data.values())
    elif isinstance(data, tuple | list):
        form, values = (type(data).__name__, len(data)), list(data)
    else:
        form, values = ("array", 1), [data]
    arrays = [value if isinstance(value, np.memmap) else np.asarray(value) for value in values]
    for array in arrays:
        if array.dtype.hasobject:
            raise TypeError(
                f"an array of {array.dtype} cannot be shared: expected numbers, or a tuple, list "
                "or dict of arrays of numbers"
            )
    return form, arrays


def _put_together(form: Any, arrays: list[AnyArray]) -> Any:
    kind, about = form
    if kind == "dict":
        return dict(zip(about, arrays, strict=True))
    if kind == "array":
        return arrays[0]
    return tuple(arrays) if kind == "tuple" else list(arrays)

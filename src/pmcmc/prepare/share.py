"""Every rank gets the problem: its own, or rank 0's where it has none."""

from __future__ import annotations

import json

from ..errors import ModelError
from ..model.parcel import look_in, module_folders
from ..model.problem import Problem
from ..mpi.control import ControlChannel
from ..mpi.shared import refuse_mixed
from ..pickles import pack_by_dill, unpack_by_dill


def share(problem: Problem | None, control: ControlChannel) -> Problem:
    """Return this rank's Problem: its own, or rank 0's where it has none; collective.

    Parameters
    ----------
    problem : Problem or None
        This rank's.
    control : ControlChannel
        Of all ranks.

    Returns
    -------
    Problem

    Raises
    ------
    ModelError
        On rank 0, if it has none, or dill cannot pickle it. The others hear of it by ``control``.

    """

    def decide(have: list[bool]) -> bool:
        refuse_mixed(have)
        if not have[0]:
            raise ModelError("rank 0 has no Problem: run(None) is for the other ranks")
        return not all(have)

    if not control.gather_and_decide(problem is not None, decide):
        assert problem is not None
        return problem
    buffers = None
    if control.rank == 0:
        try:
            buffers = pack_by_dill(problem)
        except Exception as exc:
            raise ModelError(
                f"the problem cannot be sent to the other ranks ({type(exc).__name__}: {exc}): "
                "make it on every rank"
            ) from exc
        buffers.append(memoryview(json.dumps(module_folders()).encode()))
    *buffers, folders = control.broadcast(buffers)
    if problem is not None:
        return problem
    look_in(json.loads(bytes(folders)))
    try:
        sent: Problem = unpack_by_dill(buffers)
    except Exception as exc:
        raise ModelError(
            f"the problem of rank 0 cannot be loaded{control.where} ({type(exc).__name__}: {exc})"
        ) from exc
    return sent

"""Ranks that a pool holds as its workers: they never come back to the script.

A worker's process ends within the constructor of its pool, as schwimmbad's users expect. Who
counted on such a rank again, with a second pool or a run, would wait for it for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import RankError

if TYPE_CHECKING:
    from mpi4py.MPI import Group

    from .._types import Comm

_held: list[Group] = []  # the ranks but 0 of each pool that this process was rank 0 of


def hold(comm: Comm) -> None:
    """Note, on rank 0, that the other ranks of ``comm`` are a pool's from now on."""
    if comm.Get_size() > 1:
        _held.append(comm.Get_group().Excl([0]))


def give_back(comm: Comm) -> None:
    """Note that the ranks of ``comm`` are free again: engines of a notebook outlive their pool."""
    group = comm.Get_group()
    _held[:] = [held for held in _held if type(group).Intersection(group, held).Get_size() == 0]


def refuse_held(comm: Comm, what: str) -> None:
    """Refuse to count on ranks that a pool holds or held.

    Parameters
    ----------
    comm : MPI communicator
        The ranks.
    what : str
        What they are wanted for, such as "this pool".

    Raises
    ------
    RankError
        If some of them are a pool's.

    """
    group = comm.Get_group()
    if any(type(group).Intersection(group, held).Get_size() for held in _held):
        raise RankError(
            f"ranks of {what} belong to an MPIPool, with which their processes end: keep one pool "
            "for all maps, and start a run before it or in a script of its own"
        )

"""Where a rank is: which of how many, in which team, on which host."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class RankInfo:
    """Where this process is in the job.

    Attributes
    ----------
    rank, size : int
        Which rank, from 0, and of how many.
    team : int or None
        The team that it works in, from 0; None before teams are formed, as while the model is
        loaded.
    local_rank, local_size : int
        Which of the ranks on this host, from 0, and of how many.
    host : str
    hosts : tuple of str
        All hosts of the job, in the order of their first rank.

    """

    rank: int = 0
    size: int = 1
    team: int | None = None
    local_rank: int = 0
    local_size: int = 1
    host: str = field(default_factory=socket.gethostname)
    hosts: tuple[str, ...] = field(default_factory=lambda: (socket.gethostname(),))


_now = [RankInfo()]


def rank_info() -> RankInfo:
    """Return which rank of how many this process is, its team, and where; for model authors.

    Returns
    -------
    RankInfo
        One rank by itself outside of a run.

    """
    return _now[0]


def note_ranks(hosts: list[str], rank: int) -> None:
    """Take note of where all ranks are.

    Parameters
    ----------
    hosts : list of str
        Of each rank of the run.
    rank : int
        This one.

    """
    host = hosts[rank]
    _now[0] = RankInfo(
        rank=rank,
        size=len(hosts),
        local_rank=hosts[:rank].count(host),
        local_size=hosts.count(host),
        host=host,
        hosts=tuple(dict.fromkeys(hosts)),
    )


def note_team(team: int | None) -> None:
    """Take note of the team that this rank works in; None: of none any more."""
    _now[0] = replace(_now[0], team=team)

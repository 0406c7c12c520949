"""On which host each rank is, before any code of the model runs."""

from __future__ import annotations

import socket

from ..model.ranks import note_ranks
from ..mpi.control import ControlChannel


def find_ranks(control: ControlChannel) -> None:
    """Let every rank know where all are, as `pmcmc.rank_info` tells; collective.

    Parameters
    ----------
    control : ControlChannel
        Of all ranks.

    """

    def decide(hosts: list[str]) -> tuple[list[str], list[int]]:
        known = list(dict.fromkeys(hosts))
        number = {host: i for i, host in enumerate(known)}
        return known, [number[host] for host in hosts]

    known, of_rank = control.gather_and_decide(socket.gethostname(), decide)
    note_ranks([known[i] for i in of_rank], control.rank)

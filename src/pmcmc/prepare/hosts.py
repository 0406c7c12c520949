"""Where each rank is, and which GPU it uses, before any code of the model runs."""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import dataclass
from typing import Any

from ..cores import own_cores
from ..model.devices import Visible, share_out, take, visible_devices
from ..model.ranks import note_ranks
from ..mpi.control import ControlChannel


@dataclass(frozen=True)
class Places:
    """Where the ranks are.

    Attributes
    ----------
    hosts : list of str
        Of each rank.
    ranks_per_core : float
        On the host where they are closest together; 1 where each has a core of its own.
    remark : str
        What there is to say of GPUs; "" where there are none.

    """

    hosts: list[str]
    ranks_per_core: float = 1.0
    remark: str = ""


def find_ranks(control: ControlChannel, gpus: str | int = "auto") -> Places:
    """Let every rank know where all are, as `pmcmc.rank_info` tells, and see its GPU; collective.

    Parameters
    ----------
    control : ControlChannel
        Of all ranks.
    gpus : "auto", "none" or int
        As for `devices.share_out`.

    Returns
    -------
    Places

    Raises
    ------
    UsageError
        If there are fewer than were asked for.

    """

    def decide(ranks: list[tuple[str, Visible, int]]) -> Any:
        hosts = [host for host, _, _ in ranks]
        known = {host: i for i, host in enumerate(dict.fromkeys(hosts))}
        cores = dict.fromkeys(known, 0)
        for host, _, of_rank in ranks:
            cores[host] |= of_rank
        most = max(n / cores[host].bit_count() for host, n in Counter(hosts).items())
        given, said = share_out(gpus, hosts, [seen for _, seen, _ in ranks])
        numbers = [known[host] for host in hosts]
        return list(known), numbers, given if any(given) else None, said, max(1.0, most)

    mine = socket.gethostname(), visible_devices(), sum(1 << core for core in own_cores())
    known, of_rank, given, said, most = control.gather_and_decide(mine, decide)
    hosts = [known[i] for i in of_rank]
    note_ranks(hosts, control.rank)
    take(None if given is None else given[control.rank])
    return Places(hosts, most, str(said))

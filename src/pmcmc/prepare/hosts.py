"""On which host each rank is, and which GPU it uses, before any code of the model runs."""

from __future__ import annotations

import socket
from typing import Any

from ..model.devices import Visible, share_out, take, visible_devices
from ..model.ranks import note_ranks
from ..mpi.control import ControlChannel


def find_ranks(control: ControlChannel, gpus: str | int = "auto") -> tuple[list[str], str]:
    """Let every rank know where all are, as `pmcmc.rank_info` tells, and see its GPU; collective.

    Parameters
    ----------
    control : ControlChannel
        Of all ranks.
    gpus : "auto", "none" or int
        As for `devices.share_out`.

    Returns
    -------
    hosts : list of str
        Of each rank.
    remark : str
        What there is to say of GPUs; "" where there are none.

    Raises
    ------
    UsageError
        If there are fewer than were asked for.

    """

    def decide(ranks: list[tuple[str, Visible]]) -> Any:
        hosts = [host for host, _ in ranks]
        known = {host: i for i, host in enumerate(dict.fromkeys(hosts))}
        given, said = share_out(gpus, hosts, [seen for _, seen in ranks])
        return list(known), [known[host] for host in hosts], given if any(given) else None, said

    mine = socket.gethostname(), visible_devices()
    known, of_rank, given, said = control.gather_and_decide(mine, decide)
    hosts = [known[i] for i in of_rank]
    note_ranks(hosts, control.rank)
    take(None if given is None else given[control.rank])
    return hosts, str(said)

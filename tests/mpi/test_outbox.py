"""Messages on their way: to whom a rank passes on that the run stops."""

import math
import random

import pytest

from pmcmc.mpi.outbox import Outbox


class Comm:
    """Notes to whom is sent; what is sent is away when asked for the second time."""

    def __init__(self, rank, size):
        self.rank, self.size, self.sent = rank, size, []

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.size

    def Isend(self, data, rank, tag):
        assert tag == (1 if rank == 0 else 2)
        self.sent.append(rank)
        return Request()


class Request:
    def __init__(self):
        self.asked = 0

    def Test(self):
        self.asked += 1
        return self.asked > 1


def reached(size, first, deaf=frozenset()):
    """Return which ranks hear of what one spreads, and how many messages that takes."""
    heard, waiting, messages = {first}, [first], 0
    while waiting:
        comm = Comm(waiting.pop(), size)
        Outbox(comm).spread("stop")
        messages += len(comm.sent)
        new = set(comm.sent) - heard
        heard |= new
        waiting += new - deaf
    return heard, messages


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 63, 1000])
def test_what_is_spread_reaches_all(size):
    for first in {0, size // 2, size - 1}:
        heard, messages = reached(size, first)
        assert heard == set(range(size))
        assert messages <= 2 * size * math.ceil(math.log2(max(2, size)))


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_ranks_that_do_not_listen_hide_it_from_none(share):
    size = 500
    deaf = frozenset(random.Random(1).sample(range(1, size), int(share * size)))
    first = next(r for r in range(size) if r not in deaf)
    assert reached(size, first, deaf)[0] == set(range(size))


def test_messages_are_kept_until_they_are_away():
    comm = Comm(1, 1000)
    outbox = Outbox(comm)
    outbox.send("x", [0, *range(2, 1000)])
    assert len(comm.sent) == 999
    outbox.send_to_all("y")
    assert len(comm.sent) == 999 + 999
    while not outbox.is_empty(False):
        pass
    assert outbox.is_empty() or outbox.is_empty()

"""The root's side of a pool: in which order it sends."""

import numpy as np

from pmcmc.pool.dispatch import Dispatcher
from pmcmc.pool.tasks import FUNCTION, ROWS


class Comm:
    """Notes the tags of what is sent to the one worker."""

    def __init__(self):
        self.tags = []

    def Get_size(self):
        return 2

    def Isend(self, data, worker, tag):
        self.tags.append(tag)
        return self

    def Test(self):
        return True

    def Iprobe(self, *_):
        return False


def test_a_function_goes_before_its_tasks_whenever_it_is_added(monkeypatch):
    """By the thread that has the tasks, while the other is about to send."""
    comm = Comm()
    dispatcher = Dispatcher(comm)
    pop = dispatcher.pop

    def add_and_pop(*args):
        if not comm.tags and not dispatcher.pending:
            number = dispatcher.add_function(b"a function")
            dispatcher.queue(dispatcher.batch(np.zeros((1, 2)), number))
        return pop(*args)

    monkeypatch.setattr(dispatcher, "pop", add_and_pop)
    dispatcher.refill(1)
    assert comm.tags == [FUNCTION, ROWS]

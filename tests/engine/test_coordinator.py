"""Blocks that come as messages, where a gather is late, and by it: each once, in order."""

from types import SimpleNamespace

import pytest

from pmcmc.engine.coordinator import Coordinator
from pmcmc.engine.late_gather import LateGather
from pmcmc.engine.messages import Blocks, Progress
from pmcmc.storage.writer import RunWriter


class Store:
    """Takes blocks as a file does: each must begin where the one before ended."""

    created, status = True, "running"

    def __init__(self):
        self.steps, self.written = [0, 0], []
        self.header = SimpleNamespace(burnin=0, thin_by=1)

    def lacking(self, blocks):
        return [block for block in blocks if block.steps > self.steps[block.ensemble]]

    write = RunWriter.write

    def commit(self, blocks, status="running"):
        for block in blocks:
            assert self.steps[block.ensemble] == block.begin, "rows are missing"
            self.steps[block.ensemble] = block.steps


def block(ensemble, begin, steps):
    return SimpleNamespace(ensemble=ensemble, begin=begin, steps=steps)


@pytest.fixture
def coordinator():
    made = object.__new__(Coordinator)
    made._setup = SimpleNamespace(
        plan=SimpleNamespace(steps=(9, 9), nensembles=2),
        options=SimpleNamespace(checkpoint=1e9),
    )
    made._state = SimpleNamespace(over=False, stopping=True, stop=None)
    made.late = SimpleNamespace(mind_stop=lambda done, all_done: False, time_is_up=False)
    made._control = SimpleNamespace(send_to_each=lambda message, ranks: None)
    made.checker = SimpleNamespace(
        rules=SimpleNamespace(rules_given=False), limit=None, show_figures=lambda: None
    )
    made._roots, made._final, made._full = [0, 1], False, False
    some = Progress(False, False, 0, 1, 0.0, 1)
    made._progress = {0: some, 1: some}
    made._calling, made._called, made._slowest = True, 1e18, 0.0
    made._late_gather = LateGather()
    made.store = Store()
    return made


def test_a_gather_that_is_there_before_the_messages_waits_for_them(coordinator):
    coordinator._ask_for_blocks()
    coordinator.handle(0, Blocks([block(0, 0, 2), block(0, 2, 3)]))
    coordinator.commit([[block(0, 0, 2)], [block(1, 4, 6)]])  # of the round that was late
    assert coordinator.store.steps == [0, 0]
    coordinator.handle(1, Blocks([block(1, 0, 4)]))  # sent before it joined
    coordinator.decide_next()
    assert coordinator.store.steps == [3, 6]
    assert not coordinator._calling


def test_messages_that_a_gather_has_brought_already_are_left_out(coordinator):
    coordinator._ask_for_blocks()
    coordinator.handle(0, Blocks([block(0, 0, 2)]))
    coordinator.handle(1, Blocks([block(1, 0, 4)]))
    coordinator.commit([[block(0, 0, 2)], [block(1, 0, 4)]])
    assert coordinator.store.steps == [2, 4]

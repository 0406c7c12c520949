"""A gather that does not end, and the blocks that then come to rank 0 as messages."""

from __future__ import annotations

import time

from ..sampler.state import Block

_TO_ARRIVE = 1.0  # seconds for blocks that were asked for


class LateGather:
    """What rank 0 has of blocks that it asked for, and of the gather that they overtake.

    Attributes
    ----------
    asked : float or None
        When blocks were asked for that are not written yet.

    """

    def __init__(self) -> None:
        self.asked: float | None = None
        self._arrived: list[Block] = []
        self._replies = 0  # that are still to come
        self._held: list[list[Block] | None] | None = None  # a gather that came before them

    def ask(self, of: int) -> None:
        """Take in that so many team roots were asked."""
        self.asked = time.monotonic()
        self._replies += of

    def take(self, blocks: list[Block]) -> None:
        """Take in what one of them has."""
        self._arrived += blocks
        self._replies -= 1

    @property
    def due(self) -> bool:
        """Whether what has come is to be written now."""
        return self.asked is not None and time.monotonic() - self.asked >= _TO_ARRIVE

    def arrived(self) -> list[Block]:
        """Return what has come since the last time."""
        arrived, self._arrived = self._arrived, []
        return arrived

    def end(self) -> list[Block]:
        """Return what has come since the last time; no more is waited for."""
        self.asked = None
        return self.arrived()

    def holds(self, gathered: list[list[Block] | None]) -> bool:
        """Hold a gather back where a message may bring rows that come before its own.

        Parameters
        ----------
        gathered : list of (list of Block, or None)
            What came of it.

        Returns
        -------
        bool
            Whether it is held, until ``released``.

        """
        if self._replies:
            self._held = gathered
        return bool(self._replies)

    def released(self) -> list[list[Block] | None] | None:
        """Return the gather that was held, once all messages are there; else None."""
        if self._held is None or self._replies:
            return None
        gathered, self._held, self.asked = self._held, None, None
        return gathered

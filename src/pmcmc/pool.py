"""A team's ranks evaluate rows of coordinates together."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .comm import Control, wait_for
from .problem import Problem
from .returns import Evaluated

Array = npt.NDArray[Any]
_TAG_ROWS, _TAG_RESULTS, _TAG_CLOSE = 1, 2, 3
_QUICK = 0.02  # seconds: a batch that takes less is not interrupted to look for messages


class TeamPool:
    """Evaluates rows over the ranks of a team; its first rank, the team root, works too.

    Only coordinates and results travel: every rank has the problem. A failure on a worker goes
    to all ranks through ``control``.

    Parameters
    ----------
    comm : MPI communicator
        Of the team.
    problem : Problem
        Probed, so that the form of its results is known.
    control : Control

    """

    def __init__(self, comm: Any, problem: Problem, control: Control) -> None:
        self.comm, self.problem, self.control = comm, problem, control
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        returns = problem.returns
        fields: list[Any] = [("log_prob", "f8")]
        if returns.has_blobs:
            fields.append(("blobs", returns.dtype, returns.shape))
        self._dtype = np.dtype(fields)
        self._quick = False

    def evaluate(self, coords: Array, tick: Callable[[], None] | None = None) -> Evaluated:
        """Return log_prob and blobs of rows (n, ndim); on the team root.

        Raises
        ------
        EvaluationError
            If log_prob fails here. A failure elsewhere comes through ``tick``.

        """
        if self.size == 1:
            return self._here(coords, tick)
        coords = np.ascontiguousarray(coords, dtype=np.float64)
        parts = np.array_split(coords, self.size)[::-1]  # the smallest for the root, which is busy
        out = np.empty(len(coords), dtype=self._dtype)
        pieces = np.split(out, np.cumsum([len(p) for p in parts])[:-1])
        requests = []
        for rank in range(1, self.size):
            if len(parts[rank]):
                piece = pieces[rank].view(np.uint8)
                requests.append(self.comm.Irecv(piece, rank, _TAG_RESULTS))
                requests.append(self.comm.Isend(parts[rank], rank, _TAG_ROWS))
        if len(parts[0]):
            self._fill(pieces[0], self._here(parts[0], tick))

        def complete() -> bool:
            requests[:] = [r for r in requests if not r.Test()]
            return not requests

        wait_for(complete, tick)
        ordered = np.concatenate(pieces[::-1])
        blobs = ordered["blobs"] if self.problem.returns.has_blobs else None
        return Evaluated(np.ascontiguousarray(ordered["log_prob"]), blobs)

    def serve(self) -> None:
        """Evaluate what the team root sends, until it closes the pool; on the other ranks."""
        from mpi4py import MPI

        status = MPI.Status()

        def tick() -> None:
            if self.control.due():
                self.control.receive()

        while True:
            wait_for(lambda: self.comm.Iprobe(0, MPI.ANY_TAG, status), tick)
            if status.Get_tag() == _TAG_CLOSE:
                self.comm.recv(None, 0, _TAG_CLOSE)
                return
            rows = np.empty((status.Get_count(MPI.DOUBLE) // self.problem.ndim, self.problem.ndim))
            self.comm.Recv(rows, 0, _TAG_ROWS)
            out = np.empty(len(rows), dtype=self._dtype)
            self._fill(out, self._here(rows, tick))
            request = self.comm.Isend(out.view(np.uint8), 0, _TAG_RESULTS)
            wait_for(request.Test, tick)

    def _here(self, rows: Array, tick: Callable[[], None] | None) -> Evaluated:
        """Evaluate on this rank, and look for messages between slow evaluations."""
        began = time.monotonic()
        evaluated = self.problem.evaluate(rows, None if self._quick else tick, self.control.where)
        self._quick = time.monotonic() - began < _QUICK
        return evaluated

    def close(self) -> None:
        """Let the workers go; on the team root."""
        for rank in range(1, self.size):
            self.comm.send(None, rank, _TAG_CLOSE)

    def _fill(self, out: Array, evaluated: Evaluated) -> None:
        out["log_prob"] = evaluated.log_prob
        if evaluated.blobs is not None:
            out["blobs"] = evaluated.blobs

"""When a run must stop for lack of time: --max-time, and the end of the Slurm job around it."""

from __future__ import annotations

import time

from ..slurm import job

# seconds to be done before a job ends, beside what a commit and a row take, and squeue's answer
_MARGIN = 15.0


class Deadline:
    """The end of the time, looked up as often as it costs nothing.

    Parameters
    ----------
    max_time : float or None
        Seconds that the run may take.
    began : float
        When it began, in seconds since the epoch.

    """

    def __init__(self, max_time: float | None, began: float) -> None:
        self._limit = None if max_time is None else began + max_time
        self._job_end = job.end_time()

    def left(self) -> float | None:
        """Return the seconds until the end of the Slurm job around this; None without one."""
        return None if self._job_end is None else self._job_end - time.time()

    def passed(self, needed: float) -> str | None:
        """Return why it is time to stop.

        Parameters
        ----------
        needed : float
            Seconds that it takes to stop: a commit, and a row of log_prob. Kept free, with 15
            more, before the end of the job, not before that of ``max_time``.

        Returns
        -------
        str or None
            None while there is time.

        """
        now = time.time()
        if self._limit is not None and now >= self._limit:
            return "--max-time"
        if self._job_end is not None and now >= self._job_end - _MARGIN - needed:
            self._job_end = job.end_time() or self._job_end  # it may have been put off
            if now >= self._job_end - _MARGIN - needed:
                return "the end of the Slurm job's time"
        return None

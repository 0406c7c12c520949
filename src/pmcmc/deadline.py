"""When a run must stop for lack of time: --max-time, and the end of the Slurm job around it."""

from __future__ import annotations

import time

from . import job

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

    def passed(self, needed: float) -> str | None:
        """Return why it is time to stop, or None.

        ``needed`` is how long it takes to stop, in seconds: a commit, and a row of log_prob.
        """
        now = time.time()
        if self._limit is not None and now >= self._limit:
            return "--max-time"
        if self._job_end is not None and now >= self._job_end - _MARGIN - needed:
            self._job_end = job.end_time() or self._job_end  # it may have been put off
            if now >= self._job_end - _MARGIN - needed:
                return "the end of the Slurm job's time"
        return None

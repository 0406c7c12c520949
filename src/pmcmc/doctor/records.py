"""What the doctor measures, and what it finds, as plain records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class RankFacts:
    """What one rank says of itself.

    ``versions`` by name; ``cores`` are those that it may run on; ``omp`` is OMP_NUM_THREADS and
    ``blas`` the threads that numpy's BLAS takes, None where it does not tell; ``devices`` are the
    GPUs that it sees.
    """

    host: str
    executable: str
    versions: Mapping[str, str]
    thread_level: str | None
    cores: tuple[int, ...]
    omp: str | None
    blas: int | None
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """Messages between rank 0 and another: seconds one way, bytes per second; None: no answer."""

    rank: int
    host: str
    latency: float | None
    bandwidth: float | None


@dataclass(frozen=True)
class FolderFacts:
    """What became of the steps of a commit in a folder.

    ``errors`` gives for each step that was tried, in order, what the system said, "" where it
    worked; ``stuck`` is the step that did not end, ``free`` in bytes, ``commit`` in seconds;
    ``unseen`` gives for ranks that do not see rank 0's file there what they met.
    """

    path: str
    errors: Mapping[str, str]
    stuck: str | None = None
    free: int | None = None
    commit: float | None = None
    unseen: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """All that was measured.

    ``ranks`` holds those that answered, ``silent`` what the others were asked for; ``patience``
    is how long they were given, in seconds. ``env`` are rank 0's variables, ``launch_error`` says
    why there is no world, ``limited`` what pmcmc did about threads; ``clocks`` gives the seconds
    by which each host is ahead of rank 0's.
    """

    size: int
    ranks: Mapping[int, RankFacts]
    env: Mapping[str, str]
    silent: Mapping[int, str] = field(default_factory=dict)
    patience: float = 0.0
    launch_error: str | None = None
    limited: str | None = None
    mpiexec: str = "mpiexec"
    links: tuple[Link, ...] = ()
    clocks: Mapping[str, float] = field(default_factory=dict)
    folder: FolderFacts | None = None
    job: str | None = None
    time_left: float | None = None

    def hosts(self) -> dict[str, list[RankFacts]]:
        """Return the ranks that answered, by host."""
        found: dict[str, list[RankFacts]] = {}
        for one in self.ranks.values():
            found.setdefault(one.host, []).append(one)
        return found

    def kinds(self, by: Mapping[int, str]) -> str:
        """Return values and who has them: ``2.1: rank 0 (n1) and 2 more; 2.0: rank 3 (n2)``."""
        texts = []
        for value, n in Counter(by.values()).most_common():
            rank = next(r for r in by if by[r] == value)
            host = f" ({self.ranks[rank].host})" if rank in self.ranks else ""
            more = f" and {n - 1} more" if n > 1 else ""
            texts.append(f"{value}: rank {rank}{host}{more}")
        return "; ".join(texts)


Level = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``advice`` says what to do where the level is not ok."""

    check: str
    level: Level
    text: str
    advice: str = ""

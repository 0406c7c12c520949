"""The terminal behind a launcher: mpiexec passes the ranks' stderr on through a pipe."""

from __future__ import annotations

import contextlib
import os
from collections.abc import MutableMapping
from pathlib import Path

from .. import streams

# as Linux names their processes, in 15 characters
_LAUNCHERS = ("hydra_pmi_proxy", "mpiexec", "mpiexec.hydra", "mpirun", "prterun", "prted", "orted")
_UP = 5  # processes between a rank and the terminal


def find_terminal(env: MutableMapping[str, str]) -> None:
    """Let the bar be shown where this rank's launcher writes to a terminal; by rank 0.

    Parameters
    ----------
    env : mapping
        The environment: what is found is left there.

    """
    if streams.is_terminal() or not os.path.isdir("/proc/self"):
        return
    size = _terminal_above(os.getppid())
    if size is not None:
        env[streams.TERMINAL] = "1"
        env.setdefault("COLUMNS", str(size.columns))
        env.setdefault("LINES", str(size.lines))


def _terminal_above(pid: int) -> os.terminal_size | None:
    with contextlib.suppress(OSError, ValueError):
        for _ in range(_UP):
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
            if name not in _LAUNCHERS:
                return None
            link = os.readlink(f"/proc/{pid}/fd/2")
            if link.startswith(("/dev/pts/", "/dev/tty")):
                terminal = os.open(link, os.O_RDONLY | os.O_NOCTTY)
                try:
                    return os.get_terminal_size(terminal)
                finally:
                    os.close(terminal)
            pid = int(rest.split()[1])
    return None

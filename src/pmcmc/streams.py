"""What is said on stdout and stderr, whatever becomes of them: progress is not worth a run."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from typing import Any

TERMINAL = "PMCMC_TERMINAL"  # set where what started the ranks passes stderr on to a terminal
# what a model raises is shown as it is, but can neither move the cursor nor colour a line
_CONTROLS = {c: f"\\x{c:02x}" for c in (*range(32), *range(127, 160)) if c not in b"\t\n"}


def tell(text: str, error: bool = False, end: str = "\n") -> None:
    """Print a text, at once, if it can be printed anywhere.

    Parameters
    ----------
    text : str
        What to say; control characters, and what the stream's encoding lacks, are escaped.
    error : bool
        On stderr instead of stdout. Default: False.
    end : str
        What follows it. Default: the end of the line.

    """
    name = "stderr" if error else "stdout"
    for stream in (getattr(sys, name), getattr(sys, f"__{name}__")):
        if _write(stream, text.translate(_CONTROLS) + end):
            return


def flush() -> None:
    """Let out what was printed, so that Python does not fail over it as it ends."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            stream.flush()
        except OSError:  # nobody reads on
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (AttributeError, ValueError):  # none, or closed
            setattr(sys, name, None)


def is_terminal(error: bool = True) -> bool:
    """Tell whether stderr, or stdout, is a terminal, or is passed on to one by a launcher."""
    if error and os.environ.get(TERMINAL):
        return True
    try:
        return bool((sys.stderr if error else sys.stdout).isatty())
    except (AttributeError, OSError, ValueError):
        return False


def may_reach_a_terminal() -> bool:
    """Tell whether stderr is passed on, perhaps to a terminal: no file, no batch job."""
    try:
        mode = os.fstat(sys.stderr.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return False
    piped = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    return piped and "SLURM_JOB_ID" not in os.environ


def escape_what_cannot_be_encoded() -> None:
    """Let every print of a name that the stream's encoding lacks come out, with escapes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # none, closed, another
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def keep_descriptors() -> None:
    """Open the descriptors 0, 1 and 2 where they are closed.

    The next file that is opened would get that number, and what C prints would go into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest that is free


def _write(stream: Any, text: str) -> bool:
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            code = stream.encoding or "ascii"
            stream.write(text.encode(code, errors="backslashreplace").decode(code))
        stream.flush()
    except (AttributeError, OSError, ValueError):  # none, broken, or closed
        return False
    return True

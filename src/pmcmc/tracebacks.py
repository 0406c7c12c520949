"""Tracebacks as users read them: of their own code, without the frames that called it."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from pathlib import Path

MODEL_FILE = "_pmcmc_model_"  # begins the names of modules that are made of model files
_OURS = str(Path(__file__).parent) + os.sep
_EXAMPLES = os.path.join(_OURS, "model", "examples", "")
# between the user's code and the rest: what calls functions of a model, or tasks of a pool
_DOORS = tuple(os.path.join(_OURS, part, "") for part in ("model", "pool"))
_MESSAGE_IS_ENOUGH = (OSError, MemoryError, KeyboardInterrupt, SyntaxError)


def traceback_text(exc: BaseException) -> str:
    """Return an exception with its traceback, as Python prints it, without frames of pmcmc's.

    Parameters
    ----------
    exc : BaseException
        With its causes, which are treated alike.

    Returns
    -------
    str
        Without a line's end. One that no code of the user's raised keeps all frames, unless its
        message tells everything, as that of an OSError.

    """
    told = traceback.TracebackException.from_exception(exc)
    _trim(told, {id(told)})
    return "".join(told.format()).rstrip()


def last_line(exc: BaseException) -> str:
    """Return an exception in a line: its class, its message, and the line of the user's code.

    Parameters
    ----------
    exc : BaseException
        That was raised.

    """
    text = " ".join(f"{type(exc).__name__}: {exc}".split())
    frames = [f for f in traceback.extract_tb(exc.__traceback__) if not _is_ours(f.filename)]
    if not frames:
        return text
    return f"{text} ({Path(frames[-1].filename).name}:{frames[-1].lineno}: {frames[-1].line})"


def warn(text: str) -> None:
    """Issue a RuntimeWarning, at the line of the user's code that called pmcmc.

    Parameters
    ----------
    text : str
        The warning.

    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, RuntimeWarning, stacklevel=level)


def _trim(told: traceback.TracebackException, seen: set[int]) -> None:
    names = [frame.filename for frame in told.stack]
    theirs = [k for k, name in enumerate(names) if not _is_ours(name)]
    if not theirs:
        kind = told.exc_type
        if (names and names[-1].startswith(_DOORS)) or (
            kind is not None and issubclass(kind, _MESSAGE_IS_ENOUGH)
        ):
            told.stack.clear()
    elif theirs[0] == 0 or any(name.startswith(_DOORS) for name in names[: theirs[0]]):
        del told.stack[theirs[-1] + 1 :]
        del told.stack[: theirs[0]]
    for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        if other is not None and id(other) not in seen:
            _trim(other, seen | {id(other)})


def _is_ours(name: str) -> bool:
    ours = name.startswith(_OURS) and not name.startswith(_EXAMPLES)
    return ours or name.startswith("<frozen importlib")

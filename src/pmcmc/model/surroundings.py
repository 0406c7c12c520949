"""What a model's code may change for the whole process, put right where the run needs it."""

from __future__ import annotations

import sys
import warnings

from .. import streams


class Surroundings:
    """Remembers, before a model is loaded, what the run relies on."""

    def __init__(self) -> None:
        self._recursion = sys.getrecursionlimit()
        self._path = list(sys.path)
        self._filters = list(warnings.filters)

    def mend(self) -> None:
        """Put right what else would fail on the way: how deep calls may go, imports, descriptors.

        What the model added stays, and its filters of warnings, which are for its own code.
        """
        sys.setrecursionlimit(max(self._recursion, sys.getrecursionlimit()))
        sys.path += [entry for entry in self._path if entry not in sys.path]
        streams.keep_descriptors()

    def restore(self) -> None:
        """Put right what is not the model's any more, once its code has run."""
        self.mend()
        warnings.filters[:] = self._filters  # type: ignore[index]
        getattr(warnings, "_filters_mutated", lambda: None)()  # the registries look again

"""Imports emcee, in this package the only place, without scipy.stats.

emcee loads scipy.stats for its KDE move alone, which takes most of the time that a rank needs to
start. Here the move gets it when it is used.
"""

from __future__ import annotations

import sys
from typing import Any


def _gaussian_kde(*args: Any, **options: Any) -> Any:
    from scipy.stats import gaussian_kde

    return gaussian_kde(*args, **options)


if "emcee" in sys.modules or "scipy.stats" in sys.modules:  # somebody else has paid already
    import emcee
else:
    sys.modules["scipy.stats"] = None  # type: ignore[assignment]  # to import it fails
    try:
        import emcee
    finally:
        del sys.modules["scipy.stats"]
    emcee.moves.kde.gaussian_kde = _gaussian_kde

__all__ = ["emcee"]

"""By how much two values of log_prob at one point may differ and still be the same."""

from __future__ import annotations

import numpy as np

DOUBLE = 1e-8  # another machine, library or order of sums
SINGLE = 64 * float(np.finfo(np.float32).eps)  # 64 roundings


def tolerance(single: bool) -> float:
    """Return the relative tolerance, which is an absolute one for values below 1.

    Parameters
    ----------
    single : bool
        Whether log_prob returns single precision, as JAX and PyTorch do unless they are told
        otherwise: compiled again it may round otherwise.

    Returns
    -------
    float
        1e-8, or 7.6e-6 for single precision.

    """
    return SINGLE if single else DOUBLE

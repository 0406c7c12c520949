"""Names for the types that several wings share; for annotations, so imported under TYPE_CHECKING.

Nothing here loads at run time: neither NumPy, which must wait for the thread limit, nor MPI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    import numpy as np
    import numpy.typing as npt
    from mpi4py.MPI import Comm as Comm

    FloatArray: TypeAlias = npt.NDArray[np.float64]
    AnyArray: TypeAlias = npt.NDArray[Any]

    # called while a rank waits: serves messages and signals, and raises where the run must end
    Tick: TypeAlias = Callable[[], None]

"""The summary of a run: a table for people, a dict for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .agreement import Separation
from .modes import Missed
from .table import EnsembleRow, Row, ensembles_table, fixed_lines, parameters_table, periodic_lines
from .walkers import Division

if TYPE_CHECKING:
    from .._types import FloatArray


@dataclass(frozen=True)
class Summary:
    """Figures of all parameters, and what there is to know of walkers and ensembles.

    Attributes
    ----------
    rows : tuple of Row
        One per parameter.
    log_prob : Row
        Of log_prob.
    derived : tuple of Row
        One per derived parameter.
    ensembles : tuple of EnsembleRow
        One per ensemble.
    worst : str
        The parameter whose mean they give: with the highest R-hat, or the least ESS.
    acceptance : ndarray (ensemble, walker)
        Accepted share of the kept steps.
    ndraws : int
        Kept steps times walkers, over all ensembles.
    nsteps : int
        Kept steps over all ensembles.
    kept, steps : int
        Kept steps of the shortest ensemble, and its steps with those that were thinned out.
    rank_taus : tuple of ndarray (ensemble,)
        Autocorrelation time of the ranks of each quantity, in steps; of each ensemble that has
        draws.
    offsets : ndarray (ensemble, walker)
        How far a walker's mean is from its ensemble's at most, in standard errors.
    farthest_in : ndarray of int (ensemble, walker)
        In which parameter; their number stands for log_prob.
    divisions : tuple of Division
        Ensembles whose walkers are in groups that do not mix.
    low : ndarray of int (ensemble, walker)
        Draws with a log_prob too low to be the posterior's: walkers that had not arrived.
    shift : float
        How far such draws move a mean, in standard errors.
    shifted : str
        The parameter whose mean they move furthest; empty where there are none.
    stuck, rare : ndarray of bool (ensemble, walker)
        Walkers that never moved, and that move rarely beside the others.
    row_stride : int
        Quantiles, R-hat and, where rows are many, tau and ESS come from every so many-th kept
        step.
    redrawn : mapping of int to tuple of int
        By ensemble, walkers that were redrawn after burn-in.
    fixed : mapping of str to float
        Parameters that were not sampled.
    kind : {"quantiles", "hdi", "mode"}
        What stands in the table beside mean and sd.
    rejected : int
        Evaluations that were rejected, with those of the start and of burn-in.
    rejected_share : float
        Which part of those after burn-in.
    separation : Separation or None
        Ensembles that are in different modes.
    missed : tuple of Missed
        Maxima with mass that the search for a start found, and no draw has come near.
    periodic : mapping of str to (float, float)
        Parameters on circles: where a turn begins and ends. Their means are circular, their sd and
        quantiles those of values at most half a turn from the mean.

    """

    rows: tuple[Row, ...]
    log_prob: Row
    ensembles: tuple[EnsembleRow, ...]
    worst: str
    acceptance: FloatArray
    ndraws: int
    nsteps: int
    kept: int
    steps: int
    rank_taus: tuple[FloatArray, ...]
    offsets: FloatArray
    farthest_in: npt.NDArray[np.int32]
    divisions: tuple[Division, ...]
    low: npt.NDArray[np.int64]
    shift: float
    shifted: str
    stuck: npt.NDArray[np.bool_]
    rare: npt.NDArray[np.bool_]
    derived: tuple[Row, ...] = ()
    row_stride: int = 1
    redrawn: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    kind: str = "quantiles"
    rejected: int = 0
    rejected_share: float = 0.0
    separation: Separation | None = None
    missed: tuple[Missed, ...] = ()
    periodic: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(row.name for row in self.rows)

    @property
    def all_rows(self) -> tuple[Row, ...]:
        """The figures of all quantities: parameters, log_prob, derived parameters."""
        return (*self.rows, self.log_prob, *self.derived)

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of all quantities, in this order."""
        return tuple(row.name for row in self.all_rows)

    def rank_tau(self, i: int) -> FloatArray:
        """Return the autocorrelation time of a quantity's ranks in each ensemble, in steps.

        Parameters
        ----------
        i : int
            The quantity's place in ``quantities``.

        Returns
        -------
        ndarray (ensemble,)
            Of those that have draws.

        """
        return self.rank_taus[i]

    def tau(self, i: int) -> float:
        """Return a quantity's autocorrelation time, in steps.

        Parameters
        ----------
        i : int
            The quantity's place in ``quantities``.

        Returns
        -------
        float
            NaN if it cannot be told.

        """
        return self.all_rows[i].tau

    def quantiles(self, i: int) -> tuple[float, float, float]:
        """Return a quantity's 16%, 50% and 84% quantiles.

        Parameters
        ----------
        i : int
            The quantity's place in ``quantities``.

        """
        row = self.all_rows[i]
        return row.q16, row.q50, row.q84

    def ess_bulk(self, i: int) -> float:
        """Return the effective number of draws for a parameter's mean.

        Parameters
        ----------
        i : int
            The quantity's place in ``quantities``.

        Returns
        -------
        float
            NaN if it cannot be told.

        """
        return self.all_rows[i].ess_bulk

    def ess_tail(self, i: int) -> float:
        """Return the effective number of draws for a parameter's 5% and 95% quantiles.

        Parameters
        ----------
        i : int
            The quantity's place in ``quantities``.

        Returns
        -------
        float
            The lesser of the two; NaN if one cannot be told.

        """
        return self.all_rows[i].ess_tail

    def r_hat(self, i: int) -> float:
        """Return a parameter's R-hat.

        Parameters
        ----------
        i : int
            The quantity's place in ``quantities``.

        Returns
        -------
        float
            NaN with one ensemble, or if it cannot be told.

        """
        return self.all_rows[i].r_hat

    @property
    def nensembles(self) -> int:
        """Number of ensembles."""
        return len(self.acceptance)

    @property
    def acceptance_fraction(self) -> float:
        """Accepted share, the mean over all walkers that have kept steps."""
        some = self.acceptance[np.isfinite(self.acceptance)]
        return float(some.mean()) if some.size else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, as JSON can hold them.

        Returns
        -------
        dict
            ``parameters`` and ``derived``, lists of dicts with the fields of `Row`; ``log_prob``,
            another such; ``fixed``, values by name; ``periodic``, turns by name;
            ``ensembles``, a list of dicts with the fields of `EnsembleRow`, and ``worst``;
            ``acceptance_fraction``, ``acceptance_per_ensemble``, ``nensembles``, ``ndraws``,
            ``rejected``, ``rejected_share``;
            ``missed_modes``, a list of points, and ``separate_modes``, lists of ensembles;
            ``straggling_walkers``, ``stuck_walkers``, ``rarely_moving_walkers``,
            ``trapped_walkers`` and ``redrawn_walkers`` as [ensemble, walker] pairs. None stands
            for what cannot be told.

        """
        trapped = [[d.ensemble, w] for d in self.divisions for w in d.trapped]
        return {
            "parameters": [_plain(row) for row in self.rows],
            "derived": [_plain(row) for row in self.derived],
            "fixed": dict(self.fixed),
            "periodic": {name: list(turn) for name, turn in self.periodic.items()},
            "log_prob": _plain(self.log_prob),
            "ensembles": [_plain(ensemble) for ensemble in self.ensembles],
            "worst": self.worst,
            "acceptance_fraction": _finite(self.acceptance_fraction),
            "acceptance_per_ensemble": [_finite(a) for a in self.acceptance.mean(axis=1)],
            "nensembles": self.nensembles,
            "rejected": self.rejected,
            "rejected_share": self.rejected_share,
            "ndraws": self.ndraws,
            "separate_modes": [list(m.ensembles) for m in self.separation.modes]
            if self.separation
            else [],
            "missed_modes": [list(one.theta) for one in self.missed],
            "straggling_walkers": _pairs(self.low > 0),
            "stuck_walkers": _pairs(self.stuck),
            "rarely_moving_walkers": _pairs(self.rare),
            "trapped_walkers": trapped,
            "redrawn_walkers": [[e, w] for e, walkers in self.redrawn.items() for w in walkers],
        }

    def __str__(self) -> str:
        """Return a table of at most 80 columns."""
        return self.table()

    def table(self, names: Sequence[str] | None = None) -> str:
        """Return the table of some parameters, of at most 80 columns.

        Parameters
        ----------
        names : sequence of str, optional
            Which, derived ones among them. Default: all, and those that were fixed.

        """
        rows, derived = self.chosen(names)
        table = parameters_table(rows, self.nensembles > 1, derived, self.kind)
        shown = {row.name: self.periodic[row.name] for row in rows if row.name in self.periodic}
        more = fixed_lines(self.fixed) if names is None else []
        return "\n".join([table, *periodic_lines(shown), *more])

    def chosen(self, names: Sequence[str] | None = None) -> tuple[list[Row], list[Row]]:
        """Return the rows of some parameters, and of derived ones; None: all."""
        kinds = self.rows, self.derived
        rows, derived = ([r for r in k if names is None or r.name in names] for k in kinds)
        return rows, derived

    def ensembles_table(self) -> str:
        """Return a line for each ensemble, of at most 80 columns."""
        return ensembles_table(self.ensembles, self.worst)


def _plain(record: Row | EnsembleRow) -> dict[str, Any]:
    """Return the fields as JSON can hold them."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(v) for v in value]
        return _finite(value) if isinstance(value, float) else value

    return {key: plain(value) for key, value in asdict(record).items()}


def _pairs(which: npt.NDArray[Any]) -> list[list[int]]:
    return [[int(e), int(w)] for e, w in np.argwhere(which)]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

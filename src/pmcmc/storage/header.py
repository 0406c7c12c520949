"""What a file says of its run: fixed at creation. No HDF5 here."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..model.derived import Place
from ..model.parameters import Parameters
from ..model.periodic import Circles

PHASES = ("burnin", "ensembles")
DATASETS = ("chain", "log_prob", "blobs")  # of an ensemble, in the order of their checksums
_RULES = ("until_ess", "until_rhat")


@dataclass(frozen=True)
class Header:
    """What a file says of its run, fixed at creation.

    Attributes
    ----------
    problem : str
        Name of the problem.
    names : tuple of str
        Of the parameters.
    fingerprint : str
        Hash of the problem's settings.
    settings : dict
        What defines the problem, as JSON holds it.
    seed, nwalkers, burnin, thin_by : int
        As the options; ``burnin`` is the room for it, while burn-in has not settled.
    steps : tuple of int
        Kept production steps of each ensemble.
    config : dict
        The options, as JSON holds them.
    blobs_dtype, blobs_shape : dtype or None, tuple of int
        Of one walker's blobs; None without.
    derived : tuple of (str, place)
        Scalars of the blobs: their names, and which field or number each is; None for the only.
    labels : dict
        What plots and exports write for a name.
    bounds : tuple of (float or None, float or None)
        Where each parameter's prior is not zero, None for no bound; empty without priors.
    origin : dict
        How the run was started: command, ranks, and the text of the model.
    checksums : bool
        Whether records hold the checksums of draws; files of before have none.
    rejects : bool
        Whether they count rejected evaluations; files of before do not.

    """

    problem: str
    names: tuple[str, ...]
    fingerprint: str
    settings: dict[str, Any]
    seed: int
    nwalkers: int
    burnin: int
    thin_by: int
    steps: tuple[int, ...]
    config: dict[str, Any]
    blobs_dtype: np.dtype[Any] | None = None
    blobs_shape: tuple[int, ...] = ()
    derived: tuple[tuple[str, Place], ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    bounds: tuple[tuple[float | None, float | None], ...] = ()
    origin: dict[str, str] = field(default_factory=dict)
    checksums: bool = True
    rejects: bool = True

    @property
    def may_reject(self) -> bool:
        """Whether evaluations that fail are recorded in place of an error."""
        return self.rejects and self.config.get("on_error") == "reject"

    @property
    def asked(self) -> tuple[Any, ...]:
        """What may change when a run goes on, and is to be seen in its file."""
        of = self.config.get("until_of", "parameters")  # files of before have none
        rules = (self.config.get(k) for k in _RULES)
        return (self.steps, self.burnin, of, self.may_reject, *rules)

    @property
    def ndim(self) -> int:
        """Number of parameters."""
        return len(self.names)

    @property
    def parameters(self) -> Parameters:
        """The parameters, with those that are fixed; without priors."""
        fixed = self.settings.get("fixed", {})
        return Parameters(self.names, (), fixed, tuple(self.settings.get("order", self.names)))

    @cached_property
    def circles(self) -> Circles:
        """Which parameters are on circles."""
        turns = self.settings.get("periodic", {})
        return Circles({name: (low, high) for name, (low, high) in turns.items()}, self.names)

    @property
    def derived_names(self) -> tuple[str, ...]:
        """Names of the derived parameters."""
        return tuple(name for name, _ in self.derived)

    @property
    def row_bytes(self) -> int:
        """Bytes of one step of one ensemble."""
        blobs = self.blobs.itemsize if self.blobs else 0
        return self.nwalkers * (8 * (self.ndim + 1) + blobs)

    @property
    def blobs(self) -> np.dtype[Any] | None:
        """The dtype of one walker's blobs, None without."""
        if self.blobs_dtype is None:
            return None
        return np.dtype((self.blobs_dtype, self.blobs_shape))

"""What figures have to reach, and of which quantities that is asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError

LONG = 50  # autocorrelation times: emcee's own measure of a chain long enough to tell tau
ESS, R_HAT = 400.0, 1.01  # enough for stable figures (Vehtari et al. 2021), unless asked otherwise
DISAGREE = 1.05  # R-hat of ensembles whose draws are not to be pooled


@dataclass(frozen=True)
class Limits:
    """What figures have to reach.

    Attributes
    ----------
    ess : float
        The least ESS, of bulk and tails.
    r_hat : float
        The greatest R-hat.
    length : float
        The least length of an ensemble, in tau. Default: 50.
    names : tuple of str, optional
        The parameters and derived ones that this is asked of. Default: all parameters.

    """

    ess: float
    r_hat: float
    length: float = LONG
    names: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        until_ess: float | None,
        until_rhat: float | None,
        names: tuple[str, ...] | None = None,
    ) -> Limits:
        """Return what was asked for, else 400 and 1.01.

        Where only until_rhat was asked for, no number of effective draws is too small, but one
        that cannot be told is; where only until_ess was, ensembles have to agree within 1.05.

        Parameters
        ----------
        until_ess, until_rhat : float or None
            The options of the run; None: not given.
        names : tuple of str, optional
            As `looked_at` returns them.

        Returns
        -------
        Limits

        """
        if until_ess is None and until_rhat is None:
            return cls(ESS, R_HAT, names=names)
        return cls(until_ess or 0.0, until_rhat or DISAGREE, names=names)


def looked_at(
    until_of: str | None, names: Sequence[str], derived: Sequence[str]
) -> tuple[str, ...] | None:
    """Return what the stop rules and the verdict look at.

    Parameters
    ----------
    until_of : str or None
        The option: names with commas between, "derived", or "parameters", as None.
    names, derived : sequence of str
        The parameters, and the derived ones.

    Returns
    -------
    tuple of str or None
        None: all parameters.

    Raises
    ------
    UsageError
        If one is not there.

    """
    known = [*names, *derived]
    if until_of in (None, "parameters"):  # the default, whatever parameters are called
        return None
    if until_of == "derived" and "derived" not in known:
        if not derived:
            raise UsageError("until_of is derived, and log_prob returns no derived parameters")
        return tuple(derived)
    found = tuple(dict.fromkeys(until_of.split(",")))
    if missing := [name for name in found if name not in known]:
        raise UsageError(
            f"until_of names {missing[0]!r}: expected parameters, derived, or some of "
            f"{', '.join(known)}"
        )
    return found

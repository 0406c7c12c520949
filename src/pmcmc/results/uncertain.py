"""A value with its uncertainty, with as many digits as that has: two of each error."""

from __future__ import annotations

import math
from dataclasses import dataclass

_LARGE = 1e6  # values that are written as a power of ten
_DECIMALS = 6  # at most, before they are


@dataclass(frozen=True)
class Uncertain:
    """A value and its errors, as text.

    Attributes
    ----------
    value : str
        With the decimals of the lesser error.
    up, down : str
        The errors, two significant digits each, without signs.
    exponent : int
        All are in units of ten to this power.

    """

    value: str
    up: str
    down: str
    exponent: int = 0

    @classmethod
    def of(cls, low: float, middle: float, high: float) -> Uncertain:
        """Return a value and the ends of its interval as text.

        Parameters
        ----------
        low, middle, high : float
            Such as the 16%, 50% and 84% quantiles.

        """
        errors = [high - middle, middle - low]
        if not all(map(math.isfinite, (low, middle, high))):
            return cls(f"{middle:.4g}", f"{errors[0]:.4g}", f"{errors[1]:.4g}")
        sizes = [abs(x) for x in (middle, *errors) if x]
        finest = max(map(_decimals, errors))
        exponent = 0
        if sizes and (max(sizes) >= _LARGE or finest > _DECIMALS):
            exponent = math.floor(math.log10(max(sizes)))
            middle, *errors = (x / 10**exponent for x in (middle, *errors))
            finest = max(map(_decimals, errors))
        if not any(errors):
            return cls(f"{middle:.4g}", "0", "0", exponent)
        up, down = (_fixed(x, _decimals(x)) for x in errors)
        return cls(_fixed(middle, finest), up, down, exponent)

    def __str__(self) -> str:
        """Return ``0.4900 +0.012 -0.0041``."""
        errors = f"+- {self.up}" if self.up == self.down else f"+{self.up} -{self.down}"
        text = f"{self.value} {errors}"
        return f"({text})e{self.exponent}" if self.exponent else text

    def latex(self) -> str:
        r"""Return ``0.4900^{+0.012}_{-0.0041}``, to stand within mathematics."""
        same = self.up == self.down
        errors = rf" \pm {self.up}" if same else f"^{{+{self.up}}}_{{-{self.down}}}"
        text = f"{self.value}{errors}"
        return rf"({text}) \times 10^{{{self.exponent}}}" if self.exponent else text


def _decimals(error: float) -> int:
    """Return the decimals that show two significant digits; below 0 where tens are rounded."""
    if not error:
        return 0
    rounded = float(f"{abs(error):.1e}")
    return 1 - math.floor(math.log10(rounded))


def _fixed(value: float, decimals: int) -> str:
    return f"{round(value, decimals) + 0.0:.{max(0, decimals)}f}"  # no -0.00

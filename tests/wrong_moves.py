"""Moves that do not leave the posterior invariant, for tests that must find them out."""

import emcee


class WrongFactor(emcee.moves.StretchMove):
    """Its acceptance has z**ndim in place of z**(ndim - 1)."""

    def get_proposal(self, s, c, random):
        q, factors = super().get_proposal(s, c, random)
        return q, factors * s.shape[1] / (s.shape[1] - 1)

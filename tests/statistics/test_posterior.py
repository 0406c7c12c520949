"""The line posterior against quadrature, within 5 Monte Carlo standard errors."""

import numpy as np
import pytest

import pmcmc
from line_posterior import exact, figures, many_rows
from pmcmc.model.examples import line

# The standard errors come from the scatter of 16 or 12 ensembles, so z has Student's t with 15 or
# 11 degrees of freedom: beyond 5 in 1.6e-4 or 4e-4 of figures, with 7 of each in 0.4 % of suites
# with new seeds (beyond 4 in 2.3 %). The seeds are fixed, so a pass stays a pass.
SIGMAS = 5.0


def assert_right(result):
    """Compare with quadrature, with the scatter of independent ensembles as standard error."""
    chain = result.get_chain()
    each = np.array([figures(c.reshape(-1, 3)) for c in chain])
    error = each.std(axis=0, ddof=1) / np.sqrt(len(each))
    z = (figures(chain.reshape(-1, 3)) - exact()) / error
    assert np.abs(z).max() < SIGMAS, z
    assert len(np.unique(chain[:, -1, 0, 0])) == len(chain)  # no two ensembles alike


@pytest.mark.slow
def test_line_from_its_default_start():
    problem = pmcmc.Problem.load("line")
    assert_right(
        pmcmc.run(problem, nsteps=16 * 400, nensembles=16, burnin=200, nwalkers=32, seed=1)
    )


@pytest.mark.slow
def test_line_from_prior_draws():
    problem = pmcmc.Problem(
        parameters=line.parameters, log_likelihood=many_rows, vectorized=True, initial="prior"
    )
    # Prior draws leave walkers in minor modes, where the stretch move holds them for more than
    # 20000 steps (b near 0, m near -1.7): burn-in lasts until they have come, or are redrawn.
    options = {"nsteps": 12 * 400, "nensembles": 12, "nwalkers": 16}
    result = pmcmc.run(problem, **options, seed=4)
    log_prob = result.get_log_prob()
    assert log_prob.min() > log_prob.max() - 30  # all are in
    assert_right(result)

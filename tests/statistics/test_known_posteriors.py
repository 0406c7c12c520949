"""Posteriors with known answers: means within MCSE, the rest within the ensembles' scatter.

Bounds: 5 of the summary's own standard errors for a mean (6e-7 by chance, were it normal), and
for the others the value of Student's t with 7 degrees of freedom that is exceeded in 1e-5. With
172 figures in all a suite with new seeds fails in about 1 of 700; seeds are fixed.
"""

import emcee
import numpy as np
import pytest
from scipy import stats

import pmcmc
from wrong_moves import WrongFactor

ENSEMBLES = 8
BOUND = stats.t.isf(0.5e-5, ENSEMBLES - 1)


class Normal:
    """A normal posterior; ``moves`` and sizes are those that suit it."""

    moves, steps, burnin, nwalkers = "de:0.8,desnooker:0.2", 400, 200, 32

    def __init__(self, mean, cov):
        self.mean, self.cov = np.asarray(mean, float), np.asarray(cov, float)
        self.inverse = np.linalg.inv(self.cov)
        self.sd = np.sqrt(np.diag(self.cov))
        self.ndim = len(self.mean)
        self.median = self.mean
        self.q84 = self.mean + stats.norm.ppf(0.84) * self.sd
        self.nwalkers = max(32, 2 * self.ndim)

    def log_prob(self, theta):
        d = theta - self.mean
        return -0.5 * np.einsum("ni,ij,nj->n", d, self.inverse, d)

    def initial(self, nwalkers, rng):
        return self.mean + 3 * self.sd * rng.normal(size=(nwalkers, self.ndim))


class Independent(Normal):
    """Parameters independent of each other, each a frozen scipy distribution."""

    def __init__(self, *parts):
        self.parts, self.ndim = parts, len(parts)
        self.mean, self.sd = (np.array([getattr(p, n)() for p in parts]) for n in ("mean", "std"))
        self.median, self.q84 = (np.array([p.ppf(q) for p in parts]) for q in (0.5, 0.84))

    def log_prob(self, theta):
        return sum(p.logpdf(theta[:, i]) for i, p in enumerate(self.parts))

    def initial(self, nwalkers, rng):
        return np.stack([p.rvs(nwalkers, random_state=rng) for p in self.parts], axis=1)


class Two(Normal):
    """Two modes, four sd apart, one of them twice as likely, and another parameter beside it."""

    steps = 700

    def __init__(self):
        super().__init__([0.0, 0.0], np.eye(2))
        self.mean = np.array([-2 / 3, 0.0])
        self.sd = np.array([np.sqrt(1 + 4 - 4 / 9), 1.0])
        grid = np.linspace(-8, 8, 40001)
        below = (2 * stats.norm.cdf(grid, -2) + stats.norm.cdf(grid, 2)) / 3
        self.median = np.array([np.interp(0.5, below, grid), 0.0])
        self.q84 = np.array([np.interp(0.84, below, grid), stats.norm.ppf(0.84)])

    def log_prob(self, theta):
        a, b = theta.T
        modes = np.logaddexp(np.log(2) - 0.5 * (a + 2) ** 2, -0.5 * (a - 2) ** 2)
        return modes - 0.5 * b**2

    def initial(self, nwalkers, rng):
        return rng.normal(size=(nwalkers, 2)) * [3.0, 1.0]


class Funnel(Normal):
    """x is normal with variance exp(v), and v is normal."""

    steps, burnin = 800, 300

    def __init__(self):
        super().__init__([0.0, 0.0], np.eye(2))
        self.sd = np.array([1.0, np.exp(0.25)])
        v, w = np.polynomial.hermite_e.hermegauss(80)
        grid = np.linspace(-40, 40, 80001)
        below = stats.norm.cdf(grid[:, None] * np.exp(-v / 2)) @ (w / w.sum())
        self.q84 = np.array([stats.norm.ppf(0.84), np.interp(0.84, below, grid)])

    def log_prob(self, theta):
        v, x = theta.T
        return -0.5 * v**2 - 0.5 * x**2 * np.exp(-v) - 0.5 * v


def hierarchical():
    """Groups with means of their own round a common one, given data: normal in all of them."""
    data = np.array([2.1, -0.3, 1.4, 3.2, 0.8, 1.9])
    n = len(data)
    precision = np.zeros((n + 1, n + 1))  # of (mu, theta_1 ... theta_n)
    precision[0, 0] = 1 / 25 + n / 0.49  # mu is N(0, 5), theta_j is N(mu, 0.7), data N(theta_j, 1)
    precision[0, 1:] = precision[1:, 0] = -1 / 0.49
    precision[range(1, n + 1), range(1, n + 1)] = 1 / 0.49 + 1
    cov = np.linalg.inv(precision)
    known = Normal(cov @ np.concatenate([[0.0], data]), cov)

    def log_prob(theta):
        mu, group = theta[:, :1], theta[:, 1:]
        return (
            -0.5 * mu[:, 0] ** 2 / 25
            - 0.5 * ((group - mu) ** 2).sum(axis=1) / 0.49
            - 0.5 * ((data - group) ** 2).sum(axis=1)
        )

    known.log_prob = log_prob
    return known


def correlated(n):
    """Return a normal posterior with correlations up to 0.9, and scales over two decades."""
    scale = np.logspace(-1, 1, n)
    return Normal(
        np.arange(n), 0.9 ** np.abs(np.subtract.outer(range(n), range(n))) * np.outer(scale, scale)
    )


KNOWN = {
    "normal, 2": lambda: correlated(2),
    "normal, 5": lambda: correlated(5),
    "normal, 20": lambda: correlated(20),
    "bounded": lambda: Independent(stats.beta(2, 5), stats.uniform(-1, 2), stats.expon(3, 2)),
    "heavy tails": lambda: Independent(stats.t(5), stats.t(6, 2, 3)),
    "two modes": Two,
    "funnel": Funnel,
    "hierarchical": hierarchical,
}


def sample(known, moves=None):
    problem = pmcmc.Problem(
        known.log_prob,
        [f"p{i}" for i in range(known.ndim)],
        vectorized=True,
        initial=known.initial,
    )
    options = {"burnin": known.burnin, "nwalkers": known.nwalkers, "seed": 8}
    return pmcmc.run(
        problem,
        nsteps=ENSEMBLES * known.steps,
        nensembles=ENSEMBLES,
        moves=moves or known.moves,
        **options,
    )


def assert_right(result, known):
    rows = result.summary().rows
    z = [(row.mean - mean) / row.mcse for row, mean in zip(rows, known.mean, strict=True)]
    assert np.abs(z).max() < 5, z
    chain = result.get_chain().reshape(ENSEMBLES, -1, known.ndim)
    for each, exact in (
        (chain.std(axis=1), known.sd),
        (np.median(chain, axis=1), known.median),
        (np.quantile(chain, 0.84, axis=1), known.q84),
    ):
        z = (each.mean(axis=0) - exact) / (each.std(axis=0, ddof=1) / np.sqrt(ENSEMBLES))
        assert np.abs(z).max() < BOUND, z


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_is_found(name):
    known = KNOWN[name]()
    result = sample(known)
    assert_right(result, known)
    assert not result.summary().low.any()  # nobody is taken for a straggler


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "move"),
    [("normal, 5", WrongFactor), ("hierarchical", emcee.moves.DESnookerMove)],
)
def test_a_broken_move_is_found_out(name, move):
    known = KNOWN[name]()
    known.steps *= 2
    with pytest.raises(AssertionError):
        assert_right(sample(known, [move()]), known)

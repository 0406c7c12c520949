"""The line problem from a script of your own: the Python interface.

    mpiexec -n 4 python examples/line_python_api.py

Every rank runs the script, and all call pmcmc.run together. Without mpiexec it is one rank.
"""

import numpy as np

import pmcmc

# The data of examples/line.py.
random = np.random.RandomState(123)
x = np.sort(10 * random.rand(50))
yerr = 0.1 + 0.5 * random.rand(50)
y = -0.9594 * x + 4.294
y += np.abs(0.534 * y) * random.randn(50)
y += yerr * random.randn(50)


def log_prob(theta, x, y, yerr):
    m, b, log_f = theta
    if not (-5.0 < m < 0.5 and 0.0 < b < 10.0 and -10.0 < log_f < 1.0):
        return -np.inf
    model = m * x + b
    inv_sigma2 = 1.0 / (yerr**2 + model**2 * np.exp(2 * log_f))
    return -0.5 * np.sum((y - model) ** 2 * inv_sigma2 - np.log(inv_sigma2))


problem = pmcmc.Problem(
    log_prob,
    parameters=["m", "b", "log_f"],
    initial=[-1.0, 4.5, -0.8],  # a point near the bulk: the walkers start in a small ball round it
    args=(x, y, yerr),
)
result = pmcmc.run(problem, nwalkers=32, seed=1)  # until there are enough draws

if pmcmc.is_root():  # once, not on every rank
    print(result.summary(), result.verdict(), sep="\n\n")
    draws = result.get_chain(flat=True)
    print(f"{len(draws)} draws; P(m < -1) = {np.mean(draws[:, 0] < -1):.2f}")

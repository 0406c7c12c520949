"""An orbit, a hierarchy and awkward names: through every command and export, and back."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

import pmcmc
from conftest import clean_env

ORBIT = """
import numpy as np
from scipy import stats

t = np.linspace(0, 30, 25)
rng = np.random.default_rng(3)


def velocity(P, K, h, k, phase):
    mean = 2 * np.pi * t / P + phase
    return K * (np.cos(mean) + h * np.cos(2 * mean) + k * np.sin(2 * mean))


y = velocity(11.0, 42.0, 0.2, -0.1, 0.3) + rng.normal(0, 3, len(t))
parameters = {
    "P": stats.loguniform(9, 13), "K": stats.uniform(0, 100), "h": stats.norm(0, 0.3),
    "k": stats.norm(0, 0.3), "phase": stats.norm(0.3, 0.3), "sigma": 3.0,
}
labels = {"P": "$P$ (d)", "K": "$K$", "ecc": "$e$"}
derived = ["ecc"]


def log_likelihood(theta):
    *shape, sigma = theta
    return -0.5 * np.sum((y - velocity(*shape)) ** 2) / sigma**2, np.hypot(theta[2], theta[3])
"""
HIERARCHY = """
import numpy as np
from scipy import stats

J = 10
rng = np.random.default_rng(4)
y = rng.normal(1.0, 0.5, J) + rng.normal(0, 0.3, J)
n = stats.norm(0, 5)
parameters = {"mu": n, "log_tau": stats.norm(0, 1), "theta": [n] * J, "slope": [n] * J}
vectorized = True


def log_likelihood(t):
    mu, log_tau, theta, slope = t[:, :1], t[:, 1:2], t[:, 2 : 2 + J], t[:, 2 + J :]
    groups = -0.5 * (((theta - mu) / np.exp(log_tau)) ** 2).sum(axis=1) - J * log_tau[:, 0]
    data = -0.5 * (((y - theta) / 0.3) ** 2).sum(axis=1)
    return groups + data - 0.5 * ((slope - 0.3 * theta) ** 2).sum(axis=1) / 0.04
"""
AWKWARD = r"""
from scipy import stats

names = ["chain", "log_prob", "m/s", r"$\frac{a}{b}$", "a$", "_x", "x y", "w*", "é%#?", 'a,"b"']
parameters = {name: stats.norm(0, 1) for name in names}
labels = {"m/s": r"$\notacommand{"}


def log_likelihood(theta):
    return 0.0
"""
LATER = {
    "orbit": ("amp", "lambda theta: theta[1] * (1 - theta[2] ** 2)"),
    "hierarchy": ("tau", "lambda theta: __import__('numpy').exp(theta[:, 1])"),
    "awkward": ("sum of all", "lambda theta: float(theta.sum())"),
}


def pmcmc_command(folder, *arguments):
    run = subprocess.run(
        [sys.executable, "-m", "pmcmc", *arguments],
        cwd=folder,
        env=clean_env(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stem", "model"), [("orbit", ORBIT), ("hierarchy", HIERARCHY), ("awkward", AWKWARD)]
)
def test_every_command_and_export(tmp_path, stem, model):
    import arviz
    import getdist

    (tmp_path / f"{stem}.py").write_text(model)
    name, function = LATER[stem]
    more = "vectorized = True\n" if stem == "hierarchy" else ""
    more += f"labels = {{{name!r}: r'$\\alpha$'}}\n"
    (tmp_path / "later.py").write_text(f"{more}derived = {{{name!r}: {function}}}\n")
    file = f"{stem}.h5"
    pmcmc_command(tmp_path, f"{stem}.py", "--nsteps", "400", "--burnin", "100", "--seed", "1")
    pmcmc_command(tmp_path, "derive", file, "later.py")
    result = pmcmc.load(tmp_path / file)
    names, rows = result.quantities, result.ndraws
    assert name in names
    values = np.concatenate([result.get_chain(flat=True), result.get_derived(flat=True)], axis=1)
    assert values.shape == (rows, len(names))
    # every command
    text = pmcmc_command(tmp_path, "summary", file, "--kind", "mode", "--correlation")
    assert all(one[:8] in text for one in names)
    told = json.loads(pmcmc_command(tmp_path, "summary", file, "--json"))
    assert [row["name"] for key in ("parameters", "derived") for row in told[key]] == list(names)
    for form in ("latex", "markdown"):
        lines = pmcmc_command(tmp_path, "summary", file, "--format", form).splitlines()
        assert len(lines) >= len(names) + len(result.fixed) + 2
    drawn = pmcmc_command(tmp_path, "plot", file, "-o", "plots").split("\n")[:-1]
    assert all((tmp_path / one).read_bytes().startswith(b"\x89PNG") for one in drawn)
    pmcmc_command(tmp_path, "report", file)
    assert "data:image/png" in (tmp_path / f"{stem}.html").read_text()
    # every export, and back
    for form in ("netcdf", "getdist", "npz", "csv"):
        pmcmc_command(tmp_path, "export", file, "--format", form)
    with np.load(tmp_path / f"{stem}.npz") as data:
        assert (*data["parameter_names"], *data["derived_names"]) == names
        np.testing.assert_array_equal(data["chain"], result.get_chain())
        np.testing.assert_array_equal(data["derived"], result.get_derived())
    with (tmp_path / f"{stem}.csv").open(newline="") as table:
        read = np.array(list(csv.reader(table))[1:], dtype=float)
    np.testing.assert_array_equal(read[:, 4:], values)
    samples = getdist.loadMCSamples(str(tmp_path / stem), settings={"ignore_rows": 0})
    np.testing.assert_array_equal(samples.samples[:, : len(names)], values)
    posterior = arviz.from_netcdf(tmp_path / f"{stem}.nc").posterior
    back = {v.attrs.get("pmcmc_name", key): v.values for key, v in posterior.data_vars.items()}
    chain, derived = result.get_chain(), result.get_derived()
    for i, one in enumerate(names):
        whole, _, rest = one.partition("[")
        found = back[one] if one in back else back[whole][..., int(rest[:-1])]
        expected = (chain, derived)[i >= result.ndim][..., i % result.ndim if i < result.ndim
                                                       else i - result.ndim]  # fmt: skip
        np.testing.assert_array_equal(
            found, np.moveaxis(expected, 2, 1).reshape(found.shape), err_msg=one
        )

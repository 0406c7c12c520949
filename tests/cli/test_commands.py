"""Plots, the report and exports: each opened by the program it is for."""

import csv
import json
import os
import re
import signal
import time

import numpy as np
import pytest

import pmcmc
from background_job import Job
from conftest import slow_but
from pmcmc.cli import arguments
from pmcmc.engine.team import TeamEvaluator
from pmcmc.errors import StoreError, UsageError
from pmcmc.results import plots
from pmcmc.results.exports import FORMATS, export
from pmcmc.results.report import report

NAMES = ["m", "log_f", "x*y z"]


def sample(output, **options):
    problem = pmcmc.Problem(
        lambda t: (-0.5 * float(t @ t), t[0] ** 2),
        NAMES,
        initial=lambda n, rng: rng.normal(size=(n, 3)),
        name="<demo> & co",
    )
    fixed = {"nsteps": 601, "nensembles": 3, "nwalkers": 8, "burnin": 20, "seed": 2}
    return pmcmc.run(problem, output=output, **fixed | options)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return sample(tmp_path_factory.mktemp("show") / "x.h5")


@pytest.fixture
def run(launch, result):
    """Run a command in a folder, on the file."""

    def start(command, *args, cwd):
        env = {"MPLBACKEND": "no such window"}
        return launch(0, "-m", "pmcmc", command, result.path, *args, cwd=cwd, env=env)

    return start


# ---- exports


def test_arviz_has_every_walker_as_a_chain(result, tmp_path):
    data = result.to_arviz()
    import arviz  # after it, which silences what ArviZ says once a day

    chain = result.get_chain()
    assert dict(data.posterior.sizes) == {"chain": 24, "draw": 200}
    np.testing.assert_array_equal(data.posterior["m"].values[8 + 3], chain[1, :, 3, 0])
    assert data.posterior["ensemble"].values[8 + 3] == 1
    assert data.posterior["walker"].values[8 + 3] == 3
    lp = data.sample_stats["lp"].values
    np.testing.assert_array_equal(lp[11], result.get_log_prob()[1, :, 3])
    [path] = export(result, "netcdf", tmp_path / "x.nc")
    back = arviz.from_netcdf(path)
    np.testing.assert_array_equal(back.posterior["x*y z"], data.posterior["x*y z"])
    summary = arviz.summary(back, kind="stats", round_to="none")
    assert summary.loc["m", "mean"] == pytest.approx(chain[..., 0].mean())
    tau = back.sample_stats.attrs["pmcmc_tau"]
    np.testing.assert_allclose(tau, [r.tau for r in result.summary().rows])


def test_getdist_reads_its_chains(result, tmp_path):
    import getdist

    written = export(result, "getdist", tmp_path / "x")
    beside = ["x.paramnames", "x.about.json"]
    assert [p.name for p in written] == [*beside, "x_1.txt", "x_2.txt", "x_3.txt"]
    samples = getdist.loadMCSamples(str(tmp_path / "x"), settings={"ignore_rows": 0})
    assert samples.getParamNames().list() == ["m", "log_f", "x_y_z", "blob_0"]
    flat = result.get_chain(flat=True)
    np.testing.assert_array_equal(samples.samples[:, :3], flat)
    np.testing.assert_array_equal(samples.loglikes, -result.get_log_prob(flat=True))
    assert len(samples.chain_offsets) == 4


def test_npz_and_csv_hold_the_draws(result, tmp_path):
    [path] = export(result, "npz", tmp_path / "a.npz")
    with np.load(path) as data:
        np.testing.assert_array_equal(data["chain"], result.get_chain())
        np.testing.assert_array_equal(data["blobs"], result.get_blobs())
        assert data["parameter_names"].tolist() == NAMES
    path, beside = export(result, "csv", tmp_path / "a.csv")
    assert json.loads(beside.read_text())["seed"] == result.seed
    with path.open(newline="") as file:
        head, *lines = csv.reader(file)
    assert head == ["ensemble", "step", "walker", "log_prob", *NAMES, "blob_0"]
    assert len(lines) == result.ndraws
    last = [float(v) for v in lines[-1]]
    assert last[:3] == [2, 199, 7]
    at_end = result.get_chain()[2, -1, 7]
    assert last[3:] == [result.get_log_prob()[2, -1, 7], *at_end, result.get_blobs()[2, -1, 7]]


@pytest.mark.parametrize("form", slow_but(["csv"], ["netcdf", "getdist", "npz", "csv"]))
def test_an_export_replaces_nothing_unasked(form, result, run, tmp_path):
    done = run("export", "--format", form, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert sorted(files) == sorted(done.stdout.split())
    again = run("export", "--format", form, cwd=tmp_path)
    assert again.returncode == 2
    assert "exists, and nothing was changed" in again.stderr
    assert run("export", "--format", form, "--overwrite", cwd=tmp_path).returncode == 0
    assert {p.name for p in tmp_path.iterdir()} == set(files)


def test_the_command_line_knows_all_forms():
    assert tuple(FORMATS) == arguments.FORMATS


def test_an_export_that_cannot_be_written_leaves_what_is_there(result, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        export(result, "csv", tmp_path / "file" / "x.csv")
    [path] = export(result, "netcdf", tmp_path / "new" / "x.nc")
    before = path.read_bytes()
    monkeypatch.setattr(result, "get_log_prob", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(result, "netcdf", path, overwrite=True)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


# ---- plots


def test_plots_are_six_pictures(run, tmp_path):
    done = run("plot", "-o", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    kinds = ["corner", "trace", "autocorrelation", "ranks", "running", "acceptance"]
    assert done.stdout.split() == [f"out/x-{kind}.png" for kind in kinds]
    for kind in kinds:
        data = (tmp_path / "out" / f"x-{kind}.png").read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) > 5000


def test_plots_of_some_parameters(result):
    shown = dict(plots.figures(result, ["log_f"]))
    assert [ax.get_ylabel() for ax in shown["trace"].axes] == ["log_f", "log_prob"]
    assert len(shown["corner"].axes) == 1
    with pytest.raises(UsageError, match="there is no parameter q; the parameters are m, log_f"):
        list(plots.figures(result, ["q"]))


def test_the_trace_marks_burnin_and_the_running_plot_ends_with_the_summary(result):
    shown = dict(plots.figures(result))
    low, high = shown["trace"].axes[0].get_xlim()
    assert (low, high) == (-20, 200)  # one ensemble has 201 steps
    ess, r_hat = (ax.get_lines() for ax in shown["running"].axes)
    for i, row in enumerate(result.summary().rows):
        assert ess[i].get_xdata().tolist() == [100, 120, 144, 173, 200]
        assert ess[i].get_ydata()[-1] == pytest.approx(row.ess, rel=0.02)  # 200 of 200 or 201
        assert r_hat[i].get_ydata()[-1] == pytest.approx(row.r_hat - 1, abs=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"nsteps": 3}, marks=pytest.mark.slow),
        pytest.param({"nsteps": 1, "nensembles": 1}, marks=pytest.mark.slow),
        pytest.param({"nsteps": 40, "nensembles": 1, "burnin": 0}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_few_draws_can_be_looked_at(options):
    result = sample(None, **options)
    for _, figure in plots.figures(result):
        assert figure.axes
    assert "not enough" in report(result)


def test_an_ensemble_that_is_still_in_burnin_can_be_looked_at(tmp_path, monkeypatch):
    def uneven(team, ensembles, tick, held):
        for ensemble, steps in zip(ensembles, (60, 5, 60), strict=True):
            ensemble.advance()
            while ensemble.steps < steps:
                ensemble.advance()
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.05)
        tick()

    monkeypatch.setattr(TeamEvaluator, "advance", uneven)
    result = sample(tmp_path / "x.h5")
    assert result.steps == (40, 0, 40)
    assert "an ensemble has no kept step yet" in str(result.verdict())
    assert 0 < result.summary().acceptance_fraction < 1
    assert len(dict(plots.figures(result))) == 6
    assert "no kept step yet" in report(result)
    export(result, "csv", tmp_path / "x.csv")


def test_a_walker_that_never_moved_can_be_looked_at():
    start = np.arange(4.0)[:, None]
    problem = pmcmc.Problem(lambda t: 0.0 if t[0] in start else -np.inf, ["a"], initial=start)
    result = pmcmc.run(problem, nsteps=10, burnin=2, seed=1)
    assert dict(plots.figures(result))
    assert not result.verdict().enough
    assert "are lost: stuck" in " ".join(result.verdict().lines)


def test_without_matplotlib_it_says_what_to_install(result, tmp_path, launch):
    code = f"""
import sys
sys.modules["corner"] = None
from pmcmc.__main__ import main
sys.argv[1:] = ["plot", {str(result.path)!r}]
sys.exit(main())
"""
    (tmp_path / "script.py").write_text(code)
    done = launch(0, "script.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "pip install 'pmcmc[plot]'" in done.stderr
    assert "Traceback" not in done.stderr


# ---- the report


def test_the_report_is_one_page_with_everything(run, result, tmp_path):
    done = run("report", "-o", "x.html", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "x.html\n", "")
    page = (tmp_path / "x.html").read_text()
    assert page.count("data:image/png;base64,") == 6
    assert not re.search(r'(src|href)="(?!data:)', page)  # nothing beside it
    assert "&lt;demo&gt; &amp; co" in page
    for line in result.assess(result.summary()).lines:
        assert line.replace(">", "&gt;") in page
    for name in ("x*y z", "log_prob", "waiting", "nwalkers", "emcee", "h5py"):
        assert name in page


def test_times_of_all_ranks_are_kept_over_jobs(launch, model, tmp_path):
    model(
        "import time\nparameters = ['a']\ninitial = [0.0]\n"
        "def log_prob(t):\n    time.sleep(0.002)\n    return -float(t @ t)\n"
    )
    args = "model.py --nsteps 40 --burnin 5 --nwalkers 8 --mode pool --seed 1 --output x.h5"
    assert launch(3, "-m", "pmcmc", *args.split(), cwd=tmp_path).returncode == 0
    times = pmcmc.load(tmp_path / "x.h5").reader.timings()
    assert len(times) == 3
    total = times["log_prob"].sum()
    assert total == pytest.approx(0.002 * times["evaluations"].sum(), rel=0.5)
    assert times["evaluations"].sum() == 8 * 47 + 3  # the start twice, and the width of its ball
    assert (times["log_prob"] + times["waiting"] + times["writing"] < 1.05 * times["wall"]).all()
    assert times["writing"][0] > 0
    args += " --resume --nsteps 60"
    assert launch(2, "-m", "pmcmc", *args.split(), cwd=tmp_path).returncode == 0
    more = pmcmc.load(tmp_path / "x.h5").reader.timings()
    assert more["evaluations"].sum() == 8 * 67 + 3
    assert more["wall"][2] == times["wall"][2]
    assert "of all ranks' time" in report(pmcmc.load(tmp_path / "x.h5")).lower()


# ---- files with little in them


@pytest.mark.parametrize("command", ["summary", "plot", "report", "export --format csv"])
def test_a_file_with_no_draws_yet(command, launch, tmp_path):
    def initial(nwalkers, rng):
        stop.starts += 1
        return rng.normal(size=(nwalkers, 1))

    def stop(theta):
        stop.calls += stop.starts > 1  # the first is the probe's
        if stop.calls == 200:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)
        return -0.5 * float(theta @ theta)

    stop.calls = stop.starts = 0
    problem = pmcmc.Problem(stop, ["a"], initial=initial)
    result = pmcmc.run(problem, nsteps=50, burnin=500, nwalkers=8, output=tmp_path / "x.h5")
    assert result.status == "stopped"
    with pytest.raises(StoreError, match="no draws yet"):
        result.verdict()
    done = launch(
        0, "-m", "pmcmc", *command.split()[:1], "x.h5", *command.split()[1:], cwd=tmp_path
    )
    assert done.returncode == 1
    assert "x.h5 holds no draws yet" in done.stderr
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".h5"] == []


def test_one_ensemble_has_no_r_hat_and_says_so(launch, tmp_path):
    sample(tmp_path / "one.h5", nensembles=1)
    done = launch(0, "-m", "pmcmc", "summary", "one.h5", cwd=tmp_path)
    assert done.returncode == 0
    assert "one ensemble has no R-hat" in done.stdout


SLOW = """
import time
parameters, initial = ["a", "b"], [0.0, 0.0]
def log_prob(theta):
    time.sleep(1e-3)
    return -0.5 * float(theta @ theta)
"""


@pytest.mark.slow
def test_a_running_a_stopped_and_a_killed_job(launch, model, tmp_path):
    args = [model(SLOW), "--nsteps", "40000", "--burnin", "5", "--checkpoint", "0.2"]
    args += ["--output", "x.h5"]

    def has_draws():
        return (tmp_path / "x.h5").exists() and sum(pmcmc.load(tmp_path / "x.h5").steps) > 20

    def says(*more):
        done = [
            launch(0, "-m", "pmcmc", *command.split(), cwd=tmp_path)
            for command in ("summary x.h5", *more)
        ]
        assert not any(d.returncode for d in done), done
        assert "not enough" in done[0].stdout
        return done[0].stdout.splitlines()[0].split(", ")[1]

    with Job(launch, 2, *args, cwd=tmp_path) as job:
        job.until(has_draws)
        assert says("report x.h5", "export x.h5 --format npz") == "running"
        job.signal(signal.SIGTERM)
        assert job.end()[0] == 75
    assert says() == "stopped"
    with Job(launch, 2, *args, "--resume", cwd=tmp_path) as job:
        steps = sum(pmcmc.load(tmp_path / "x.h5").steps)
        job.until(lambda: sum(pmcmc.load(tmp_path / "x.h5").steps) > steps)
        os.killpg(job.process.pid, signal.SIGKILL)
    assert says() == "interrupted"

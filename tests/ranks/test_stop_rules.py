"""--until-ess, --until-rhat and --burnin auto: the same end in every layout, and an honest one."""

import re
import signal
import time

import emcee
import numpy as np
import pytest

import pmcmc
from background_job import Job
from fake_run import Readable
from line_posterior import exact, many_rows
from pmcmc.diagnostics.burnin import burnin_shortfall
from pmcmc.diagnostics.statistics import ChainStatistics
from pmcmc.diagnostics.stopping import CHECKS, StopRules, checks, next_check
from pmcmc.errors import UsageError
from pmcmc.model.examples import line
from pmcmc.sampler.ensemble import Ensemble
from pmcmc.storage.reader import RunReader
from reference import assert_same_as_plain, assert_same_files, plain_emcee, streams

MODEL = """
import os, time
import numpy as np
parameters = ["a", "b"]
sleep = float(os.environ.get("SLEEP", "0"))
def log_prob(theta):
    if sleep:
        time.sleep(sleep)
    return -0.5 * (theta[0] ** 2 + (theta[1] - theta[0]) ** 2)
def initial(nwalkers, rng):
    return rng.normal(size=(nwalkers, 2)) + START
"""
SEED, K, W = 3, 4, 12
SIZES = f"--seed {SEED} --nensembles {K} --nwalkers {W} --nsteps 40000 --moves de"
RULES = "--until-ess 700 --until-rhat 1.02 --burnin 20"


def log_prob(theta):
    return -0.5 * (theta[0] ** 2 + (theta[1] - theta[0]) ** 2)


def plain(burnin, steps, start=0.0, thin_by=1):
    samplers = []
    for e in range(K):
        rng, state = streams(SEED, e)
        p0 = rng.normal(size=(W, 2)) + start
        options = {"burnin": burnin, "thin_by": thin_by, "moves": emcee.moves.DEMove()}
        samplers.append(plain_emcee(log_prob, p0, state, steps, **options))
    return samplers


@pytest.fixture
def run(launch, tmp_path, model):
    """Run the model on some ranks."""

    def start(ranks, args, output="x.h5", begin=0.0):
        name = model(MODEL.replace("START", str(begin)))
        return launch(
            ranks, "-m", "pmcmc", name, *SIZES.split(), *args.split(), "--output", output,
            cwd=tmp_path,
        )  # fmt: skip

    return start


def test_checks_are_at_ceil_100_times_1_2_to_the_i():
    some = checks()
    first = [next(some) for _ in range(60)]
    assert first[:6] == [100, 120, 144, 173, 208, 249]
    assert all(c == np.ceil(100 * 1.2**i) for i, c in enumerate(first))
    assert [next_check(n) for n in (0, 100, 101, 250)] == [100, 100, 120, 299]
    assert {100, 120, 144} < CHECKS


# ---- the end of a run


def expected_end(path):
    """Return the first check at which the rules are met, from the draws of a longer run."""
    reader = RunReader(path)
    for c in checks():
        if StopRules(700, 1.02).lacks(ChainStatistics(reader, [c] * K)) is None:
            return c
    raise AssertionError


SHAPES = {
    "split": (3, "--mode split --checkpoint 0.01"),
    "pool": (3, "--mode pool --schedule static"),
    "demand": (2, "--mode pool --schedule demand"),
    "teams": (4, "--teams 2"),
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Return the file of a run on one rank, and the step at which the rule is met."""
    folder = tmp_path_factory.mktemp("reference")
    rng_start = lambda nwalkers, rng: rng.normal(size=(nwalkers, 2))  # noqa: E731
    problem = pmcmc.Problem(log_prob, ["a", "b"], initial=rng_start)
    fixed = {"seed": SEED, "nensembles": K, "nwalkers": W, "burnin": 20, "moves": "de"}
    long = pmcmc.run(problem, nsteps=K * 1500, output=folder / "long.h5", **fixed)
    return expected_end(long.path)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_every_layout_stops_at_the_same_check(run, tmp_path, reference, shape):
    ranks, more = SHAPES[shape]
    done = run(ranks, f"{RULES} {more}")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert f"the stop rule met after {reference} steps per ensemble" in done.stdout
    result = pmcmc.load(tmp_path / "x.h5")
    assert (result.status, result.steps) == ("finished", (reference,) * K)
    assert result.nsteps == K * reference
    assert_same_as_plain(result.path, plain(20, reference))
    assert result.verdict().enough


@pytest.mark.slow
def test_a_run_that_is_stopped_and_killed_ends_at_the_same_check(
    launch, run, tmp_path, model, reference
):
    name = model(MODEL.replace("START", "0.0"))
    args = [name, *SIZES.split(), *RULES.split(), "--output", "x.h5", "--checkpoint", "0.05"]
    path, kinds = tmp_path / "x.h5", [signal.SIGTERM, signal.SIGKILL]
    for kind in kinds:
        more = ["--resume", "--mode", "pool"] if path.exists() else []
        with Job(launch, 3, *args, *more, cwd=tmp_path, env={"SLEEP": "0.0003"}) as job:
            before = sum(RunReader(path).steps) if path.exists() else 0
            job.until(lambda b=before: path.exists() and sum(RunReader(path).steps) > b + 40 * K)
            time.sleep(0.3)
            job.signal(kind)
            job.end()
    done = run(2, f"{RULES} --resume")
    assert done.returncode == 0, done
    assert pmcmc.load(path).steps == (reference,) * K
    assert_same_as_plain(path, plain(20, reference))
    again = run(2, "--resume")
    assert again.returncode == 0
    assert "there was nothing to do" in again.stdout
    assert pmcmc.load(path).steps == (reference,) * K


@pytest.mark.slow
def test_short_of_the_rule_is_exit_status_3_and_goes_on(run, tmp_path, launch, reference):
    done = run(2, f"{RULES} --nsteps 600")
    assert done.returncode == 3, done
    assert "short of the stop rule" in done.stdout
    assert "not enough: " in done.stdout
    told = launch(0, "-m", "pmcmc", "status", "x.h5", cwd=tmp_path)
    assert told.returncode == 3
    assert "finished, short of its stop rule" in told.stdout
    result = pmcmc.load(tmp_path / "x.h5")
    assert (result.status, result.short, sum(result.steps)) == ("finished", True, 600)
    again = run(1, "--resume --nsteps 600")
    assert again.returncode == 3
    more = run(3, "--resume --nsteps 40000")
    assert more.returncode == 0, more
    assert_same_as_plain(tmp_path / "x.h5", plain(20, reference))
    assert launch(0, "-m", "pmcmc", "status", "x.h5", cwd=tmp_path).returncode == 0
    higher = run(3, "--resume --until-ess 6000 --nsteps 40000")
    assert higher.returncode == 0, higher
    assert pmcmc.load(tmp_path / "x.h5").steps[0] > reference
    assert pmcmc.load(tmp_path / "x.h5").config["until_ess"] == 6000


def test_a_stop_within_a_check_leaves_a_run_that_is_not_finished(tmp_path, monkeypatch):
    """All steps are taken by then, but those after the check are held back."""
    problem = pmcmc.Problem(log_prob, ["a", "b"], initial=[0.0, 0.0])
    options = {"nsteps": K * 119, "nensembles": K, "nwalkers": 8, "burnin": 5, "until_ess": 1e9}
    lacks, looks = StopRules.lacks, []

    def stopped(self, statistics, tick=lambda: None):
        looks.append(statistics.rows)
        while min(ensemble.steps for ensemble in ensembles) < 5 + 119:
            for ensemble in ensembles:  # stand for other ranks that run ahead meanwhile
                ensemble.advance()
        signal.raise_signal(signal.SIGTERM)
        tick()
        return lacks(self, statistics, tick)

    ensembles = []
    monkeypatch.setattr(StopRules, "lacks", stopped)
    begin = Ensemble.__init__

    def noted(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        ensembles.append(self)

    monkeypatch.setattr(Ensemble, "__init__", noted)
    result = pmcmc.run(problem, seed=1, output=tmp_path / "x.h5", **options)
    assert looks == [(100,) * K]
    assert (result.status, result.steps, result.short) == ("stopped", (100,) * K, False)
    monkeypatch.undo()
    result = pmcmc.run(problem, output=tmp_path / "x.h5", resume=True)
    assert (result.status, result.steps, result.short) == ("finished", (119,) * K, True)
    again = pmcmc.run(problem, output=tmp_path / "x.h5", resume=True)
    assert (again.steps, again.short) == ((119,) * K, True)


# each ensemble stays where it starts in c; where that is 0, log_prob takes ten times as long
UNEVEN = """
import os, time
import numpy as np
parameters = ["a", "c"]
def initial(nwalkers, rng):
    return [0, 10 * rng.integers(4)] + rng.normal(size=(nwalkers, 2)) * [1, 0.1]
def log_prob(theta):
    which = round(theta[1] / 10)
    time.sleep(float(os.environ.get("SLEEP", "0")) * (10 if which == 0 else 1))
    return -0.5 * (theta[0] ** 2 + 100 * (theta[1] - 10 * which) ** 2)
"""
LITTLE_MEMORY = """
import sys
import pmcmc.engine.team_ensembles
pmcmc.engine.team_ensembles._MB = 200  # a row has 160 bytes
from pmcmc.__main__ import main
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["static", "demand"])
def test_nobody_waits_for_a_check_that_waits_for_him(launch, tmp_path, model, mode):
    """Ensembles ahead of a check fill the memory of a team, whose other is still on its way."""
    (tmp_path / "script.py").write_text(LITTLE_MEMORY)
    run = f"{model(UNEVEN)} --seed 6 --nensembles 4 --nwalkers 8 --burnin 5 --nsteps 1200"
    run = [*run.split(), "--until-ess", "1e9"]
    pool = [*run, "--mode", "pool", "--checkpoint", "1000"]
    whole = launch(0, "-m", "pmcmc", *pool, "--output", "whole.h5", cwd=tmp_path)
    assert whole.returncode == 3, whole
    path = tmp_path / "x.h5"
    pool += ["--schedule", mode, "--output", "x.h5"]
    if mode == "demand":
        sleep = {"SLEEP": "0.0003"}
        done = launch(2, "script.py", "run", *pool, cwd=tmp_path, env=sleep, timeout=100)
    else:  # alike in steps there, unless a run on more ranks left them apart
        split = [*run, "--output", "x.h5", "--teams", "4"]
        with Job(launch, 4, *split, cwd=tmp_path, env={"SLEEP": "0.0005"}) as job:
            job.until(lambda: path.exists() and max(RunReader(path).steps) > 90)
            job.signal(signal.SIGTERM)
            assert job.end()[0] == 75
        assert np.ptp(RunReader(path).steps) > 16
        done = launch(0, "script.py", "run", *pool, "--resume", cwd=tmp_path, timeout=100)
    assert done.returncode == 3, done
    assert_same_files(path, tmp_path / "whole.h5")


@pytest.mark.slow
def test_a_rule_in_memory_and_thinned():
    problem = pmcmc.Problem(
        log_prob, ["a", "b"], initial=lambda n, rng: rng.normal(size=(n, 2)), name="x"
    )
    options = {"seed": SEED, "nensembles": K, "nwalkers": W, "burnin": 5, "nsteps": 40000}
    options["moves"] = "de"
    result = pmcmc.run(problem, until_ess=600, thin_by=3, **options)
    steps = result.steps[0]
    assert result.steps == (steps,) * K
    assert steps in CHECKS
    assert not result.short
    for e, sampler in enumerate(plain(5, steps, thin_by=3)):
        np.testing.assert_array_equal(result.get_chain()[e], sampler.get_chain())
    assert min(row.ess for row in result.summary().rows) >= 600


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until_rhat": 1.0}, "until_rhat: expected an R-hat above 1, got 1.0"),
        ({"until_ess": -3}, "until_ess: expected an effective number of draws above 0, got -3"),
        ({"until_rhat": 1.01, "nensembles": 1}, "use nensembles=2 or more"),
        ({"burnin": "long"}, "burnin: expected a whole number of at least 0, or auto, got 'long'"),
    ],
)
def test_rules_that_cannot_be_are_refused(options, message):
    problem = pmcmc.Problem(log_prob, ["a", "b"], initial=[0.0, 0.0])
    with pytest.raises(UsageError, match=message):
        pmcmc.run(problem, nsteps=100, **options)


# ---- runs that must not be declared converged


def chains(problem, **options):
    return pmcmc.run(
        problem, **{"seed": 1, "nensembles": 4, "nwalkers": 16, "moves": "stretch"} | options
    )


def test_two_ensembles_in_two_modes_are_not_enough():
    def two(theta):
        return float(np.logaddexp(-0.5 * (theta[0] - 50) ** 2, -0.5 * (theta[0] + 50) ** 2))

    problem = pmcmc.Problem(
        two, ["a"], initial=lambda n, rng: rng.normal(size=(n, 1)) + 50 * rng.choice([-1, 1])
    )
    result = chains(problem, nsteps=4 * 1000, burnin=50, until_ess=500)
    sides = {np.sign(c.mean()) for c in result.get_chain()}
    assert sides == {-1.0, 1.0}
    assert result.short
    verdict = result.verdict()
    assert not verdict.enough
    assert "ensembles are in 2 modes" in " ".join(verdict.lines)


def test_too_short_is_not_enough():
    problem = pmcmc.Problem(log_prob, ["a", "b"], initial=[0.0, 0.0])
    result = chains(problem, nsteps=4 * 150, burnin=100, until_ess=10)
    assert result.short
    assert "50 are wanted" in " ".join(result.verdict().lines)
    assert "--resume --nsteps" not in str(result.verdict())  # it is in memory


def test_one_stuck_ensemble_is_not_enough():
    def trap(theta):
        return -1e3 if abs(theta[0] - 100) < 1e-3 else -0.5 * float(theta @ theta)

    def initial(n, rng):
        x = rng.normal(size=(n, 2))
        if initial.calls == 2:
            x[:] = [100.0, 0.0]
            x += 1e-7 * rng.normal(size=(n, 2))
        initial.calls += 1
        return x

    def walled(theta):  # the trap is surrounded by nothing
        near = abs(theta[0] - 100) < 1
        return -np.inf if near and abs(theta[0] - 100) > 1e-3 else trap(theta)

    initial.calls = -1  # the probe's
    problem = pmcmc.Problem(walled, ["a", "b"], initial=initial)
    result = chains(problem, nsteps=4 * 1000, burnin=50, until_ess=300)
    assert result.short
    text = " ".join(result.verdict().lines)
    assert "lost" in text
    assert "ensemble" in text


@pytest.mark.slow
def test_the_line_from_prior_draws_is_not_enough_though_r_hat_is_fine():
    """All ensembles share stragglers: R-hat cannot tell, log_prob can."""
    problem = pmcmc.Problem(
        parameters=line.parameters, log_likelihood=many_rows, vectorized=True, initial="prior"
    )
    options = {"nensembles": 16, "nwalkers": 100, "burnin": 100, "nsteps": 16 * 600}
    options["moves"] = "stretch"
    result = pmcmc.run(problem, seed=2, until_rhat=1.02, **options)
    summary = result.summary()
    m = summary.rows[0]
    assert m.r_hat < 1.02
    off = abs(m.mean - exact()[0]) / exact()[3]
    assert off > 0.3  # and yet it is far off, in sd of the posterior
    assert result.short
    verdict = result.assess(summary)
    assert not verdict.enough
    assert "they will not come" in " ".join(verdict.lines)


# ---- burn-in that ends by itself


@pytest.mark.slow
def test_settled_burnin_is_that_of_plain_emcee_in_every_layout(run, tmp_path):
    ends = set()
    for ranks, more in ((0, ""), (4, "--teams 2")):
        output = f"{ranks}.h5"
        done = run(
            ranks, f"--burnin auto --nsteps 60 --thin-by 2 {more}", output=output, begin=30.0
        )
        assert done.returncode == 0, done
        result = pmcmc.load(tmp_path / output)
        assert f"settled after {result.burnin} steps per ensemble" in done.stdout
        assert result.burnin_steps == (result.burnin,) * K
        assert_same_as_plain(result.path, plain(result.burnin, 15, start=30.0, thin_by=2))
        ends.add(result.burnin)
    assert len(ends) == 1
    assert ends <= CHECKS
    assert 100 < ends.pop() < 3000
    assert_same_files(tmp_path / "0.h5", tmp_path / "4.h5")
    before = (tmp_path / "0.h5").read_bytes()
    refused = run(2, "--resume --burnin 100", output="0.h5", begin=30.0)
    assert refused.returncode == 2
    assert "burnin is 100, and auto in the file" in refused.stderr
    assert (tmp_path / "0.h5").read_bytes() == before


@pytest.mark.slow
def test_settled_burnin_after_stops_and_kills(launch, run, tmp_path, model):
    args = "--burnin auto --nsteps 200 --checkpoint 0.05"
    assert run(0, args, output="whole.h5", begin=30.0).returncode == 0
    path = tmp_path / "x.h5"
    name = model(MODEL.replace("START", "30.0"))
    for kind in (signal.SIGKILL, signal.SIGTERM):
        more = ["--resume"] if path.exists() else []
        line = [name, *SIZES.split(), *args.split(), "--output", "x.h5", *more]
        with Job(launch, 2, *line, cwd=tmp_path, env={"SLEEP": "0.0005"}) as job:
            before = sum(RunReader(path).steps) if path.exists() else 0
            job.until(lambda b=before: path.exists() and sum(RunReader(path).steps) > b + 30 * K)
            time.sleep(0.2)
            job.signal(kind)
            job.end()
    done = run(3, f"{args} --resume", begin=30.0)
    assert done.returncode == 0, done
    assert_same_files(path, tmp_path / "whole.h5")


def test_burnin_that_drifts_or_has_stragglers_is_not_settled():
    rng = np.random.default_rng(1)
    chain = rng.normal(size=(3, 400, 8, 1))

    def why(chain, log_prob=None):
        log_prob = -0.5 * chain[..., 0] ** 2 if log_prob is None else log_prob
        return burnin_shortfall(
            ChainStatistics(Readable(chain, log_prob), phase="burnin", discard=200)
        )

    assert why(chain) is None
    drift = chain + 0.005 * np.arange(400)[:, None, None]
    assert why(drift) == "p0 drifts"
    low = -0.5 * chain[..., 0] ** 2
    low[1, 390, 3] = -500
    assert why(chain, low) == "1 walker on the way from the start"
    low[0, 390, 3] = -500  # another one, of the same number
    assert why(chain, low) == "2 walkers on the way from the start"
    slow = np.cumsum(chain, axis=1)
    assert re.fullmatch(r"\d of 20 tau for p0", why(slow))
    apart = chain + 10.0 * (np.arange(8) == 3)[:, None]
    assert re.fullmatch(r"\d of 20 tau for p0", why(apart))

"""`pmcmc plan`: what it prints, and what it refuses."""

import json

import pytest

MODEL = """
import time
parameters, initial = ["a", "b"], [0.1, 0.2]
def log_prob(theta):
    time.sleep(0.01)
    return -float(theta @ theta)
"""


@pytest.fixture
def plan(launch, tmp_path):
    (tmp_path / "m.py").write_text(MODEL)
    (tmp_path / "broken.py").write_text(MODEL.replace("time.sleep(0.01)", "raise OSError('gone')"))

    def call(*args):
        return launch(0, "-m", "pmcmc", "plan", *args, cwd=tmp_path, timeout=60)

    return call


def test_a_table_of_ranks(plan, tmp_path):
    done = plan("m.py", "--ranks", "16,1,64", "--plot", "x.png")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows if row and row[0].isdigit()] == ["1", "16", "64"]
    assert "hardly pay: twice as many save less than a fifth of the time" in done.stdout
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "m.h5").exists()


def test_fewer_walkers_are_named_where_they_are_quicker(plan):
    """Half the walkers take half the evaluations, as long as there are walkers for all ranks."""
    told = json.loads(plan("m.py", "--ranks", "1,64", "--json").stdout)
    one, many = (row["seconds"] for row in told["shapes"])
    few = {row["ranks"]: row["seconds"] for row in told["fewer_walkers"]}
    assert few[1] == pytest.approx(one / 2, rel=0.2)
    assert few[64] > 0.8 * many
    text = plan("m.py", "--ranks", "1,64").stdout
    assert "--nwalkers 16 would take " in text
    assert "on 1 rank: fewer draws, and enough" in text
    assert "--nwalkers" not in plan("m.py", "--ranks", "1", "--nwalkers", "32").stdout


def test_walkers_that_the_model_gives_are_left(plan, tmp_path):
    text = MODEL.replace("[0.1, 0.2]", "np.ones((32, 2)) + np.eye(32, 2)")
    (tmp_path / "given.py").write_text("import numpy as np\n" + text)
    done = plan("given.py", "--ranks", "1")
    assert done.returncode == 0, done.stderr
    assert "--nwalkers" not in done.stdout


def test_advice_is_given_once(launch, tmp_path):
    """The shape of a function of microseconds leaves ranks idle; more ensembles would not."""
    quick = "parameters, initial = ['a'], [0.1]\ndef log_prob(theta): return -theta[0] ** 2\n"
    (tmp_path / "quick.py").write_text(quick)  # of a microsecond, which a busy machine makes ten
    done = launch(0, "-m", "pmcmc", "plan", "quick.py", "--ranks", "8,64,256", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("are idle, there being") == 1
    assert "on 8 ranks (and likewise on 64, 256): 4 of 8 ranks are idle" in done.stdout


def test_json_and_what_changes_it(plan, tmp_path):
    facts = {"facts": {"links": [{"latency": 0.02}, {"latency": None}]}}
    (tmp_path / "network.json").write_text(json.dumps(facts))
    found = {}
    for name, more in {
        "plain": [],
        "long": ["--tau", 100],
        "far": ["--doctor", "network.json"],
        "given": ["--nsteps", 400, "--burnin", 50, "--nensembles", 2, "--nwalkers", 16],
        "draws": ["--target-ess", 50_000],
    }.items():
        done = plan("m.py", "--ranks", "1,8", "--json", *more)
        assert done.returncode == 0, done.stderr
        found[name] = json.loads(done.stdout)
    one, eight = found["plain"]["shapes"]
    assert one["seconds"] == pytest.approx(8 * eight["seconds"], rel=0.3)
    assert 0.9 < one["efficiency"] <= 1.0
    each = found["plain"]["log_prob"]["mean"]
    assert one["seconds"] == pytest.approx(one["evaluations"] * each, rel=0.1)
    assert found["long"]["shapes"][0]["seconds"] > 4 * one["seconds"]
    assert found["far"]["shapes"][1]["seconds"] > 1.1 * eight["seconds"]
    assert found["draws"]["shapes"][0]["seconds"] > 1.5 * one["seconds"]
    memory = found["plain"]["shapes"][1]["memory_bytes"]
    assert 70e6 < memory["rank"] < memory["rank_0"] < 400e6
    given = found["given"]["shapes"][0]
    assert (given["burnin"], given["steps"], given["nensembles"]) == (50, 200, 2)
    assert given["evaluations"] == 16 * 2 * 250


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["m.py", "--ranks", "0"], "expected numbers of ranks from 1 to 1000000"),
        (["m.py", "--ranks", "four"], "expected numbers of ranks from 1 to 1000000"),
        (["m.py", "--tau", "-1"], "expected a number above 0"),
        (["m.py", "--target-ess", "much"], "expected a number above 0"),
        (["m.py", "--doctor", "none.json"], "none.json cannot be read"),
        (["m.py", "--doctor", "m.py"], "m.py is no report of the doctor"),
        (["m.py", "--doctor", "alone.json"], "tells of no messages between ranks"),
        (["broken.py"], "log_prob raised OSError: gone"),
        (["nosuch.py"], "there is no model file nosuch.py"),
        (["m.py", "--ranks", "3", "--ranks-per-evaluation", "2"], "use 2 or 4 ranks"),
        (["m.py", "--nwalkers", "7"], "nwalkers is 7"),
        (["m.py", "--plot", "m.py"], "was not made by pmcmc"),
    ],
)
def test_what_it_refuses(plan, tmp_path, args, said):
    (tmp_path / "alone.json").write_text('{"facts": {"links": []}}')
    done = plan(*args)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "pmcmc/" not in done.stderr
    assert not done.stdout.strip()

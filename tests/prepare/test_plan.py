"""The plan: every rank and every ensemble in one team, steps shared exactly."""

import re

import numpy as np
import pytest

from pmcmc.errors import UsageError
from pmcmc.planner.costs import Batches, CallCost, SystemCost, lognormal, slowdown
from pmcmc.planner.predict import Predictor, Shape
from pmcmc.planner.steps import Length
from pmcmc.prepare.shape import MOST_STEPS, make_plan
from reference import shares

MODES = [{"mode": "split"}, {"mode": "pool"}, *({"teams": t} for t in range(1, 10))]


def plan(size, **options):
    given = {"nsteps": 1001, "burnin": 0, "nwalkers": 8, **options}
    if "teams" not in given:
        given.setdefault("mode", "split")
    return make_plan(size, **given)


@pytest.mark.parametrize("shape", MODES, ids=str)
@pytest.mark.parametrize("size", range(1, 10))
def test_every_rank_and_every_ensemble_is_in_one_team(size, shape):
    for nensembles in range(1, 10):
        made = plan(size, nensembles=nensembles, **shape)
        assert [r for t in made.teams for r in t.ranks] == list(range(size))
        assert [e for t in made.teams for e in t.ensembles] == list(range(nensembles))
        wanted = {"split": size, "pool": 1}.get(shape.get("mode"), shape.get("teams"))
        assert len(made.teams) == min(wanted, size, nensembles)
        for part in ("ranks", "ensembles"):
            counts = [len(getattr(t, part)) for t in made.teams]
            assert max(counts) - min(counts) <= 1
        for rank in range(size):
            team = made.team_of(rank)
            assert rank in team.ranks
            assert team.root == min(team.ranks)
        assert made.teams[0].root == 0


@pytest.mark.parametrize("shape", MODES, ids=str)
@pytest.mark.parametrize("nensembles", range(1, 10))
def test_steps_are_shared_exactly_wherever_the_ranks_go(nensembles, shape):
    for size in range(1, 10):
        made = plan(size, nensembles=nensembles, **shape)
        assert made.steps == tuple(shares(1001, nensembles))
        assert (made.nsteps, made.nensembles) == (1001, nensembles)


def test_shares_of_1001_steps_over_4_ensembles():
    assert plan(4).steps == (251, 250, 250, 250)


@pytest.mark.parametrize(
    ("size", "options", "nensembles"),
    [
        (1, {}, 1),
        (16, {}, 16),
        (16, {"mode": "pool"}, 1),
        (16, {"teams": 4}, 4),
        (2, {"teams": 4}, 4),  # as many as on enough ranks: the same draws
        (16, {"nsteps": 5000, "burnin": 100}, 16),
        (64, {"nsteps": 5000, "burnin": 100}, 50),
        (64, {"nsteps": 5000, "burnin": 0}, 64),
        (64, {"nsteps": 50, "burnin": 100}, 1),
        (64, {"nsteps": 5000, "burnin": 100, "nensembles": 60}, 60),  # as asked
        (64, {"nsteps": 10, "burnin": 0}, 10),
        (9, {"nsteps": 10, "burnin": 4, "thin_by": 3}, 5),
    ],
)
def test_default_number_of_ensembles(size, options, nensembles):
    assert plan(size, **options).nensembles == nensembles


@pytest.mark.parametrize("thin_by", [1, 2, 3, 7])
@pytest.mark.parametrize("burnin", [1, 4, 10])
def test_by_default_no_ensemble_has_fewer_production_than_burnin_steps(burnin, thin_by):
    for nsteps in range(1, 40):
        made = plan(9, nsteps=nsteps, burnin=burnin, thin_by=thin_by)
        k = made.nensembles
        assert k == 1 or min(made.steps) * thin_by >= burnin
        assert k == min(9, nsteps) or nsteps // (k + 1) * thin_by < burnin


def test_fewer_ensembles_than_ranks_are_said_and_make_wider_teams():
    made = plan(64, nsteps=5000, burnin=100, nwalkers=32)
    assert {len(t.ranks) for t in made.teams} == {1, 2}
    assert made.remarks[0] == (
        "50 ensembles for 64 ranks: with one per rank each would get fewer production steps than "
        "its 100 burn-in steps"
    )


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (9, {"mode": "pool"}, "5 of 9 ranks have nothing to do.*use --nensembles 3 or more"),
        (9, {"nensembles": 1}, "5 of 9 ranks have nothing to do"),
        (11, {"teams": 2}, "3 of 11 ranks have nothing to do"),
        (3, {"teams": 5}, "3 teams in place of 5: there are only 3 ranks"),
        (9, {"teams": 5, "nensembles": 4}, "4 teams in place of 5: there are only 4 ensembles"),
        (4, {"nensembles": 5}, "uneven.*--nensembles 4 would share out evenly"),
    ],
)
def test_what_a_shape_cannot_use_is_said(size, options, message):
    remarks = " ".join(plan(size, **options).remarks)
    assert re.search(message, remarks), remarks


@pytest.mark.parametrize(
    ("size", "options"),
    [(1, {}), (9, {}), (4, {"mode": "pool"}), (8, {"teams": 2}), (3, {"nensembles": 6})],
)
def test_nothing_is_said_of_a_shape_that_uses_all_ranks(size, options):
    assert plan(size, **options).remarks == ()


@pytest.mark.parametrize("shape", [{"mode": "pool"}, {"mode": "split"}, {"teams": 2}], ids=str)
def test_fewer_steps_than_ensembles_are_refused(shape):
    message = "nsteps is 3.*nensembles is 4: .* use --nsteps 4 or more"
    with pytest.raises(UsageError, match=message):
        plan(2, nsteps=3, nensembles=4, **shape)


@pytest.mark.parametrize(
    ("size", "options", "mode"),
    [(4, {}, "split"), (4, {"mode": "pool"}, "pool"), (4, {"teams": 2}, "teams")],
)
def test_a_plan_is_told_in_words(size, options, mode):
    made = plan(size, thin_by=2, **options)
    told = dict(made.describe())
    assert told["ranks"].startswith(f"{size} ({mode}): ")
    assert told["ensembles"].startswith(f"{made.nensembles} of 8 walkers")
    assert "1001 steps, 8008 draws" in told["total"]
    assert len(made.table().splitlines()) == 1 + len(made.teams)


def test_rounds_that_are_not_full_are_said():
    plan = make_plan(16, nsteps=100, burnin=10, nwalkers=100, mode="pool")
    (remark,) = plan.remarks
    assert "50 evaluations at a time over 16 ranks take 4 rounds" in remark
    assert "78%" in remark
    assert "--nwalkers 128" in remark
    assert make_plan(16, nsteps=100, burnin=10, nwalkers=128, mode="pool").remarks == ()
    assert make_plan(1, nsteps=100, burnin=10, nwalkers=100, mode="pool").remarks == ()


# ---- auto: four ensembles, and teams as the cost of log_prob has it


@pytest.mark.parametrize(
    ("size", "nwalkers", "nensembles"),
    [(1, 32, 4), (4, 32, 4), (16, 32, 4), (64, 32, 4), (65, 32, 5), (1000, 32, 63), (16, 100, 4)],
)
def test_auto_has_four_ensembles_until_there_are_more_ranks_than_they_can_use(
    size, nwalkers, nensembles
):
    made = make_plan(size, nwalkers=nwalkers, seconds=1.0)
    assert made.nensembles == nensembles
    assert (sum(made.steps), made.open_ended, made.burnin) == (MOST_STEPS, True, None)
    assert made.remarks == () or nensembles > 4
    assert made.idle == 0


@pytest.mark.parametrize(
    ("size", "seconds", "widths"),
    [
        (1, 1e-6, [1]),
        (1, 1.0, [1]),
        (2, 1.0, [1, 1]),  # two ensembles each: there is nothing to send
        (3, 1.0, [3]),  # one team, interleaved: teams of one would end apart
        (4, 1.0, [1, 1, 1, 1]),
        (16, 1e-5, [1, 1, 1, 1]),  # a message costs more than an evaluation
        (3, 1e-5, [1, 1, 1]),
    ],
)
def test_teams_of_auto_follow_the_cost(size, seconds, widths):
    made = make_plan(size, nwalkers=32, seconds=seconds)
    assert [len(team.ranks) for team in made.teams] == widths
    assert made.idle == size - sum(widths)
    assert made.nensembles == 4
    for rank in range(size):
        assert (made.team_of(rank) is None) == (rank >= sum(widths))
    told = dict(made.describe())["ranks"]
    assert (f"{made.idle} idle" in told) == any("are idle" in r for r in made.remarks)
    assert ("idle" in told) == (made.idle > 0)


@pytest.mark.parametrize("size", [3, 6, 12, 16, 48])
@pytest.mark.parametrize("seconds", [2e-4, 1e-3, 2e-2, 1.0])
def test_no_other_teams_would_be_much_sooner(size, seconds):
    """By longer simulations than auto allows itself; even and uneven costs together."""
    chosen = len(make_plan(size, nwalkers=32, seconds=seconds).teams)
    worst = dict.fromkeys(range(1, 5), 1.0)
    for spread in (0.0, 1.0):
        call = CallCost(lognormal(seconds, spread * seconds))
        predictor = Predictor(Batches(32, ((0.6, 2), (0.4, 4))), call, SystemCost())
        taken = {}
        for teams in worst:
            made = make_plan(size, nwalkers=32, teams=teams, nensembles=4)
            shape = Shape(size, tuple((len(t.ranks), len(t.ensembles)) for t in made.teams))
            taken[teams] = predictor.predict(shape, Length(0, 60)).seconds
        best = min(taken.values())
        worst = {t: max(w, taken[t] / best) for t, w in worst.items()}
    assert worst[chosen] < 1.1 * min(worst.values())


@pytest.mark.parametrize("size", [8, 16])
def test_where_ranks_share_cores_there_are_more_teams(size):
    """For what emcee and messages take is slower there, and is shared by more roots."""

    def teams(seconds, ranks_per_core, busy=0.06):
        slower = slowdown(ranks_per_core, seconds, busy)
        return len(make_plan(size, nwalkers=32, seconds=seconds, slowdown=slower).teams)

    assert teams(5e-4, 1) < teams(5e-4, size / 2) == 4
    assert teams(2e-3, 1) < teams(2e-3, size / 2, busy=1.0) == 4
    assert teams(2e-2, size / 2) == 1  # beside which both are small
    assert {teams(s, size / 2) for s in np.geomspace(2e-4, 1e-1, 15)} == {1, 4}


@pytest.mark.parametrize("seconds", [1e-6, 1.0])
def test_batches_of_a_vectorized_function_are_never_split_by_auto(seconds):
    for size in range(1, 20):
        made = make_plan(size, nwalkers=32, seconds=seconds, vectorized=True)
        assert [len(team.ranks) for team in made.teams] == [1] * min(4, size)
    assert "a vectorized log_prob takes in half an ensemble at once" in made.remarks[0]


def test_auto_takes_few_steps_and_given_ensembles_as_they_are():
    assert make_plan(4, nsteps=3, burnin=0, nwalkers=8).nensembles == 3
    assert make_plan(16, nsteps=100, burnin=200, nwalkers=8, nensembles=7).nensembles == 7
    assert make_plan(5, nwalkers=8, nensembles=1, seconds=1.0).mode() == "pool"


def test_an_open_ended_plan_is_told_in_words():
    told = dict(make_plan(4, nwalkers=8).describe())
    each = "burn-in until settled, then at most 50000 steps"
    assert told["ensembles"] == f"4 of 8 walkers, each {each}"
    assert told["total"].startswith("until the draws are enough, at most 200000 steps")
    assert make_plan(4, nwalkers=8).evaluations() is None
    assert make_plan(4, nwalkers=8, nsteps=100, burnin=5).evaluations() == 8 * (100 + 20 + 4)

"""When burn-in is over where walkers are in groups: which group counts, which is redrawn."""

import numpy as np

from fake_run import Readable, ar1
from pmcmc.diagnostics.burnin import check_burnin

W, STEPS, RHO = 16, 4000, 0.9  # tau 19: the half of burn-in is about 100


def burnin(*groups):
    """Return a reader of one ensemble; of each group its walkers, centre, width, best log_prob."""
    rng = np.random.default_rng(1)
    assert sum(count for count, *_ in groups) == W
    unit = np.stack([ar1(rng, STEPS, W, RHO) for _ in range(2)], axis=2)
    of = np.repeat(np.arange(len(groups)), [count for count, *_ in groups])
    _, centre, width, top = (np.array(column)[of] for column in zip(*groups, strict=True))
    chain = centre[:, None] + width[:, None] * unit
    return Readable([chain], [top - 0.5 * (unit**2).sum(axis=2)], accepted=np.full((1, W), 900.0))


def test_all_in_one_mode_is_over():
    check = check_burnin(burnin((W, 0.0, 1.0, 0.0)), STEPS, rescue=True)
    assert (check.over, check.lacking, dict(check.massless)) == (True, "", {})


def test_a_narrow_spike_above_the_others_may_hold_mass_and_stays_apart():
    spike, wide = (4, 40.0, 1e-7, 9.0), (W - 4, 0.0, 1.0, 0.0)
    check = check_burnin(burnin(spike, wide), STEPS, rescue=True)
    assert (check.over, dict(check.massless)) == (True, {})
    assert check.lacking == "4 walkers of 1 ensemble stay apart from the others"


def test_of_three_groups_one_without_mass_is_redrawn_and_one_stays_apart():
    lower, other, most = (2, 40.0, 1.0, -60.0), (4, -40.0, 1.0, -1.0), (W - 6, 0.0, 1.0, 0.0)
    check = check_burnin(burnin(lower, other, most), STEPS, rescue=True)
    assert check.over
    assert check.massless == {0: (0, 1)}
    assert check.lacking == "4 walkers of 1 ensemble stay apart from the others"


def test_without_rescue_all_of_them_stay_apart():
    lower, most = (2, 40.0, 1.0, -60.0), (W - 2, 0.0, 1.0, 0.0)
    check = check_burnin(burnin(lower, most), STEPS, rescue=False)
    assert (check.over, dict(check.massless)) == (True, {})
    assert check.lacking == "2 walkers of 1 ensemble stay apart from the others"


def test_walkers_that_may_still_come_are_waited_for():
    other, most = (4, -40.0, 1.0, -1.0), (W - 4, 0.0, 1.0, 0.0)
    reader = burnin(other, most)
    assert not check_burnin(reader, 1000, rescue=True).over  # the half is 26 tau
    assert check_burnin(reader, STEPS, rescue=True).over

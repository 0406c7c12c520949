"""The random streams are those that the contract spells out."""

import numpy as np
import pytest

import reference
from pmcmc.sampler.rng import MAX_SEED, draw_seed, streams


@pytest.mark.parametrize("seed", [0, 1, 2**40, MAX_SEED])
@pytest.mark.parametrize("ensemble", [0, 1, 1000])
def test_streams_are_those_of_the_contract(seed, ensemble):
    generator, state = streams(seed, ensemble)
    expected_generator, expected_state = reference.streams(seed, ensemble)
    assert generator.bit_generator.state == expected_generator.bit_generator.state
    np.testing.assert_equal(state, expected_state)


def test_all_streams_differ():
    firsts = set()
    for seed in range(20):
        for ensemble in range(20):
            generator, state = streams(seed, ensemble)
            random = np.random.RandomState()
            random.set_state(state)
            firsts |= {generator.random(), random.random_sample()}
    assert len(firsts) == 2 * 20 * 20


def test_drawn_seeds_are_valid_and_differ():
    seeds = {draw_seed() for _ in range(1000)}
    assert len(seeds) == 1000
    assert MAX_SEED == 2**63 - 1
    assert 0 <= min(seeds) <= max(seeds) <= MAX_SEED
    assert max(seeds) > 2**60  # misses with probability (1/8)^1000


def test_global_random_state_is_left_alone():
    before = np.random.get_state()
    streams(1, 2)
    np.testing.assert_equal(np.random.get_state(), before)

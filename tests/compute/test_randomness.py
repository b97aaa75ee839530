from itertools import product

import pytest
import torch

from nextitem.compute.randomness import Purpose, generator, key_seed, seeded_globally
from nextitem.errors import ConfigurationError


def test_every_key_has_a_seed_of_its_own() -> None:
    keys = list(product(range(4), Purpose, range(6), range(6)))
    seeds = {key_seed(seed, purpose, *parts) for seed, purpose, *parts in keys}
    assert len(seeds) == len(keys)


def test_a_seed_fits_a_generator() -> None:
    assert all(0 <= key_seed(seed, Purpose.ORDER) < 2**63 for seed in range(200))


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_outside_its_range_is_refused(seed: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"seed={seed}: a seed is a whole number from 0 to 2⁶⁴ − 1"):
        key_seed(seed, Purpose.ORDER)
    key_seed(2**64 - 1, Purpose.ORDER)


def test_a_key_names_the_same_stream_every_time() -> None:
    assert key_seed(7, Purpose.ORDER, 3) == 6668120002868377758  # another number would make every published run another
    first = torch.rand(5, generator=generator(7, Purpose.ORDER, 3))
    assert torch.equal(first, torch.rand(5, generator=generator(7, Purpose.ORDER, 3)))
    assert not torch.equal(first, torch.rand(5, generator=generator(7, Purpose.ORDER, 4)))


def test_purposes_draw_unrelated_numbers() -> None:
    draws = torch.stack([torch.rand(2000, generator=generator(0, purpose)) for purpose in Purpose])
    correlations = torch.corrcoef(draws) - torch.eye(len(Purpose))
    assert correlations.abs().max().item() < 4.5 / 2000**0.5


def test_seeding_globally_is_undone_after_the_block() -> None:
    before = torch.random.get_rng_state()
    with seeded_globally(0, Purpose.DROPOUT, 1, 2):
        inside = torch.rand(3)
    assert torch.equal(torch.random.get_rng_state(), before)
    with seeded_globally(0, Purpose.DROPOUT, 1, 2):
        assert torch.equal(torch.rand(3), inside)
    with seeded_globally(0, Purpose.DROPOUT, 1, 3):
        assert not torch.equal(torch.rand(3), inside)


def fail_after_drawing() -> None:
    with seeded_globally(0, Purpose.WEIGHTS):
        torch.rand(3)
        raise KeyError("interrupted")


def test_seeding_globally_is_undone_after_an_error_too() -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(KeyError):
        fail_after_drawing()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_generator_leaves_the_global_one_alone() -> None:
    before = torch.random.get_rng_state()
    torch.rand(3, generator=generator(0, Purpose.BOOTSTRAP))
    assert torch.equal(torch.random.get_rng_state(), before)

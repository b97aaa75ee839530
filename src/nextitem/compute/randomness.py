"""Generators from keys, so that any step of a run can be drawn again without the steps before it.

The key (seed, purpose, epoch, step) names a stream. That is what makes resuming exact: no generator state is saved.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch

from nextitem.errors import ConfigurationError


class Purpose(IntEnum):
    """What a stream of random numbers is for; two purposes never share one."""

    ORDER = 0
    MASKS_AND_NEGATIVES = 1
    DROPOUT = 2
    WEIGHTS = 3
    VALIDATION = 4
    BOOTSTRAP = 5
    EXAMPLES = 6
    CANDIDATES = 7
    SPLIT = 8
    SHUFFLE = 9


def key_seed(seed: int, purpose: Purpose, *parts: int) -> int:
    """A 63-bit seed for the key (seed, purpose, *parts), all below 2³² but the seed (below 2⁶⁴); unequal keys give
    unrelated seeds. Raises ConfigurationError for a seed outside its range.
    """
    if not 0 <= seed < 2**64:
        raise ConfigurationError(f"seed={seed}: a seed is a whole number from 0 to 2⁶⁴ − 1")
    # Fixed widths and the number of parts: numpy pads short sequences with zeros, which would make (1, 2) and (1, 2, 0)
    # one key.
    entropy = [seed & 0xFFFFFFFF, seed >> 32, int(purpose), len(parts), *parts]
    words = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return int(words[0]) >> 1


def generator(seed: int, purpose: Purpose, *parts: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device`, seeded by the key."""
    return torch.Generator(device=device).manual_seed(key_seed(seed, purpose, *parts))


@contextmanager
def seeded_globally(seed: int, purpose: Purpose, *parts: int) -> Iterator[None]:
    """Seed torch's global generators by the key inside the block (dropout, initial weights); restored after it."""
    # By default every GPU of the machine would be forked, at every step.
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(key_seed(seed, purpose, *parts))
        yield

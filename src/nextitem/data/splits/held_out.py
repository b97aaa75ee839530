"""Users of whom nothing is learnt. U users."""

from dataclasses import replace

import torch
from torch import Tensor

from nextitem.compute.randomness import Purpose, generator
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.words import counted

_REMEDY = "take split=leave_one_out, or of split=temporal another rule of validation"


def drawn_users(sequences: Sequences, share: float, seed: int, part: int, remedy: str = _REMEDY) -> Tensor:
    """Which views are a share, drawn by chance, of those that can be asked about, at least one of them; (U,) bool.

    Those have a target with a history, so two events. Raises DataError, with the `remedy`, where there are fewer than
    two.
    """
    able = (sequences.last_targets(1)[:, 0] > sequences.starts_U).nonzero()[:, 0]
    if len(able) < 2:
        raise DataError(
            f"{counted(len(able), 'user has', 'users have')} two events, a history and a target, so nothing can be "
            f"held out by users; {remedy}"
        )
    order = torch.randperm(len(able), generator=generator(seed, Purpose.SPLIT, part))
    held_U = torch.zeros(len(sequences), dtype=torch.bool)
    held_U[able[order[: max(1, round(share * len(able)))]]] = True
    return held_U


def without(sequences: Sequences, held_U: Tensor) -> Sequences:
    """The views, those of some users empty."""
    stops_U = torch.where(held_U, sequences.starts_U, sequences.stops_U)
    return replace(sequences, stops_U=stops_U, known_counts_N=None)

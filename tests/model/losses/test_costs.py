"""What a step of each loss takes, as arithmetic over shapes. T positions, e width, N items, K negatives."""

from dataclasses import replace
from typing import Any

import pytest

from nextitem.model.batches import Sharing, StepShapes
from nextitem.model.losses import BPR, BPRMax, CrossEntropy, SampledCrossEntropy, TOP1Max
from worlds.shelves import LOSSES, each_loss

T, ROWS, LONGEST, E, N, K = 1000, 20, 60, 8, 5000, 30
FULL = StepShapes(T, ROWS, LONGEST, E, N)
STATES = 4 * T * E * 4  # states, as they are scored, and both gradients
SHARINGS: tuple[Sharing, ...] = ("position", "sequence", "batch")


def drawn(sharing: Sharing, count: int = K) -> StepShapes:
    return replace(FULL, count=count, sharing=sharing, lookup_bytes=3 * (1 + count) * E * 4)


@pytest.mark.parametrize(("sharing", "sets"), [("position", T), ("sequence", ROWS), ("batch", 1)])
def test_a_step_draws_a_set_for_each_that_has_its_own(sharing: Any, sets: int) -> None:
    assert drawn(sharing).sets == sets
    assert FULL.sets == 0


def test_a_sampled_loss_holds_all_scores_at_a_time() -> None:
    own = STATES + T * (3 * (1 + K) * E * 4 + 6 * (1 + K) * 4)  # the vectors with their gradients; scores
    assert BPR().bytes(drawn("position")) == own
    for sharing, sets in (("sequence", ROWS), ("batch", 1)):
        assert BPR().bytes(drawn(sharing)) == STATES + T * K * 6 * 4 + 2 * sets * K * E * 4


def test_the_sampled_softmax_holds_the_scores_of_a_block_where_sets_are_shared() -> None:
    loss = SampledCrossEntropy()
    assert loss.bytes(drawn("position")) == BPR().bytes(drawn("position"))
    assert loss.bytes(drawn("sequence")) == STATES + LONGEST * K * 3 * 4 + 3 * K * E * 4
    assert loss.bytes(drawn("batch")) == STATES + 512 * K * 3 * 4 + 3 * K * E * 4


def test_a_full_softmax_holds_the_exponentials_of_a_block() -> None:
    assert CrossEntropy().block_size(FULL) == 512  # of 1,000 positions in two blocks, each of a multiple of 16
    assert CrossEntropy().bytes(FULL) == STATES + 512 * N * 4
    assert CrossEntropy(block_rows=50).bytes(FULL) == STATES + 64 * N * 4
    assert CrossEntropy(precision="bfloat16").bytes(FULL) == STATES + 512 * N * 2 + N * E * 2  # and a rounded table


def test_a_full_softmax_is_smaller_with_lower_blocks() -> None:
    blocks = [loss.block_rows for loss in CrossEntropy().smaller(FULL)]
    assert blocks == list(range(496, 0, -16))
    assert list(CrossEntropy(block_rows=50).smaller(FULL)) == []


@each_loss
def test_each_smaller_version_takes_less(loss: Any) -> None:
    sizes = [version.bytes(FULL) for version in (loss, *loss.smaller(FULL))]
    assert sizes == sorted(set(sizes), reverse=True)


@each_loss
def test_what_a_step_takes_grows_with_what_it_compares(loss: Any) -> None:
    if not loss.needs_negatives:
        assert loss.bytes(FULL) < loss.bytes(replace(FULL, number_of_items=2 * N))
        return
    for sharing in SHARINGS:
        assert loss.bytes(drawn(sharing)) < loss.bytes(drawn(sharing, 2 * K))


def test_only_losses_that_weigh_negatives_against_each_other_ask_for_two() -> None:
    for loss in LOSSES.values():
        assert loss.reason_against(2) is None
        assert (loss.reason_against(1) is not None) == isinstance(loss, BPRMax | TOP1Max)

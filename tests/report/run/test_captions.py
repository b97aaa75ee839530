"""What stands below a figure is what can be seen in it."""

from dataclasses import replace
from pathlib import Path

from nextitem.report.run.bands import Band, Quality
from nextitem.report.run.captions import FEWEST, of_lists, of_losses, of_quality
from worlds.stored_runs import evidence, written


def quality(first: int, cases: int, ndcg: float) -> Quality:
    return Quality(Band(first, first), cases, ndcg, ndcg, (ndcg, ndcg))


def test_a_sentence_on_large_bands_says_so() -> None:
    large = [quality(1, FEWEST, 0.2), quality(2, FEWEST, 0.4)]
    assert "by length. From 0.200 at 1 (50 cases) to 0.400 at 2" in of_quality([("one", None, large)], "length")
    best = quality(3, FEWEST - 1, 0.9)
    told = of_quality([("one", None, [*large, best])], "length")
    assert "Of bands with at least 50 cases, from 0.200 at 1 (50 cases) to 0.400 at 2 (50 cases)." in told
    assert "From 0.900 at 3 (49 cases)" in of_quality([("one", None, [best, best])], "length")


def test_one_band_has_nothing_to_be_compared_with() -> None:
    told = of_quality([("one", None, [quality(3, 24, 0.9)])], "length")
    assert told.endswith(" by length. All 24 cases are in one band, 3.")


def test_which_items_are_never_recommended_is_said_as_it_was() -> None:
    assert of_lists("history") == "Items of the history are never recommended."
    assert of_lists("last:5") == "Items of the last 5 events are never recommended."
    assert of_lists("last:1") == "Items of the last event are never recommended."
    assert of_lists("nothing") == "Items of the history may be recommended again."


def test_losses_of_one_epoch_go_nowhere(tmp_path: Path) -> None:
    run = evidence(written(tmp_path))
    assert " it goes from " in of_losses(run)
    epoch = replace(run.epochs[0], train_loss=3.5, validation_loss=3.25)
    run.run.history[:] = [epoch]
    assert of_losses(run) == "Mean loss per target position: 3.500 in training and 3.250 in validation."
    run.run.history[:] = [replace(epoch, validation_loss=None)]
    assert of_losses(run) == "Mean loss per target position: 3.500 in training."

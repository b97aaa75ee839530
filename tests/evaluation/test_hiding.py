"""Which items of a history are left out: one setting for rankings and lists."""

import pytest
import torch
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.hiding import checked, hidden, hidden_targets, in_words
from nextitem.evaluation.ranking import Ranking
from nextitem.experiment.recipe import Recipe
from nextitem.model.baselines import CoOccurrence
from worlds.small_runs import log_of, prepared_from

HISTORIES = Sequences.of([[3, 1, 2, 1], [0], []], 4)


@pytest.mark.parametrize(
    ("hide", "left_out"),
    [
        ("history", [[3, 1, 2, 1], [0], []]),
        ("last:1", [[1], [0], []]),
        ("last:3", [[1, 2, 1], [0], []]),
        ("last:999999999", [[3, 1, 2, 1], [0], []]),
    ],
)
def test_the_latest_events_or_all_are_left_out(hide: str, left_out: list[list[int]]) -> None:
    seen = hidden(hide, HISTORIES)
    assert seen is not None
    assert seen.tolist() == left_out


def test_nothing_is_nothing() -> None:
    assert hidden("nothing", HISTORIES) is None


@pytest.mark.parametrize(
    "hide", ["", "last", "last:0", "last:-1", "last:1.5", "last:", "History", "all", "last:1 ", None, 3]
)
def test_other_words_are_refused_wherever_they_are_given(hide: str) -> None:
    message = "should be history, nothing, or last:n for the items of the latest n events, such as last:5"
    for refused in (
        checked,
        Ranking,
        lambda hide: Ranking.among("uniform:1", hidden=hide),
        lambda h: hidden(h, HISTORIES),
    ):
        with pytest.raises(ConfigurationError, match=message):
            refused(hide)


def test_a_recipe_refuses_them_by_the_name_of_the_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"hide = .last:0. .*should be history, nothing, or last:n"):
        Recipe(hide="last:0")
    assert Recipe(hide="last:2").ranking == Ranking("last:2")
    assert Recipe().ranking == Ranking()


@pytest.mark.parametrize(
    ("hide", "words"),
    [
        ("history", "history hidden"),
        ("nothing", "nothing hidden"),
        ("last:1", "the last event hidden"),
        ("last:12", "the last 12 events hidden"),
    ],
)
def test_it_is_told_in_words(hide: str, words: str) -> None:
    assert in_words(hide) == words


@pytest.mark.parametrize(("hide", "hit"), [("history", 0.0), ("last:2", 0.0), ("last:1", 1.0), ("nothing", 1.0)])
def test_a_target_that_repeats_the_history_is_hit_where_it_is_not_hidden(hide: str, hit: float) -> None:
    """Everybody goes to and fro between two items of their own, so the target is the event before the last."""
    split = prepared_from(log_of([[2 * user + event % 2 for event in range(8)] for user in range(4)])).split
    found = evaluate(CoOccurrence().learn(split.train), split.test, ["hit_rate@1"], ranking=Ranking(hide))
    assert (found.means["hit_rate@1"], found.ceiling, found.certificate.hidden) == (hit, hit, hide)


def test_candidates_are_drawn_outside_what_is_hidden_and_may_be_of_the_rest() -> None:
    split = prepared_from(log_of([[0, 1, 2, 3, 4, 5]] * 6)).split
    drawn_CK = Ranking.among("uniform:3", hidden="last:2").draw(split.test)  # of the history 0 … 4, and 5 the target
    assert drawn_CK is not None
    assert [sorted(row) for row in drawn_CK.tolist()] == [[0, 1, 2]] * 6
    assert torch.equal(split.test.targets_C, torch.full((6,), 5))


def test_hidden_targets_are_found_in_histories_too_long_to_be_read_at_once() -> None:
    long, targets_C = [0] * 600_000, tensor([0, 1, 2, 0])
    seen = Sequences.of([long, long, [1, 2], []], 3)
    assert len([*seen.parts()]) == 2
    assert hidden_targets(seen, targets_C).tolist() == [True, False, True, False]
    assert hidden_targets(None, targets_C).tolist() == [False] * 4
    assert hidden_targets(Sequences.of([], 3), targets_C[:0]).tolist() == []

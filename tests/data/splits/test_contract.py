"""What holds of every split, whatever it holds out."""

from itertools import product
from typing import Any

import pytest
import torch

from nextitem.data.sequences import Sequences
from nextitem.data.source import Source
from nextitem.data.splits import AnySplit, Temporal, Users
from nextitem.data.splits.split import SplitFacts
from nextitem.data.splits.targets import IN_WORDS
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.settings.annotations import members
from nextitem.settings.configuration import Configuration

HISTORIES = [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 0], [3, 2, 1, 0, 9, 8, 7]]
LOG = Sequences.of(HISTORIES, 10, times=[list(range(len(history))) for history in HISTORIES])
DEFAULTS = [model() for model in members(AnySplit)]
SPLITS = [
    *DEFAULTS,
    *(
        Temporal(cut=0.6, validation_cut=0.5, target=target, validation=validation)
        for target, validation in product(IN_WORDS, ("time", "users", "last"))
    ),
    Users(target="random"),
    Users(target="successive"),
]


def called(split: AnySplit) -> str:
    """What a test of it is called: its settings but for numbers."""
    return " ".join(value for value in split.model_dump().values() if isinstance(value, str))


every_split = pytest.mark.parametrize("split", SPLITS, ids=called)
every_entry = pytest.mark.parametrize("split", DEFAULTS, ids=called)


@every_split
def test_parts_are_views_and_no_event_is_copied(split: AnySplit) -> None:
    parts = split.split(LOG)
    for views in (parts.train, parts.validation.histories, parts.test.histories):
        assert views.events is LOG.events


@every_split
def test_a_history_begins_where_that_of_its_user_does(split: AnySplit) -> None:
    """A run is stored with whole histories, and finds what was asked about by its length."""
    parts = split.split(LOG)
    for cases in (parts.validation, parts.test):
        assert torch.equal(cases.histories.starts_U, LOG.starts_U[cases.histories.users_U])


@every_split
def test_a_target_stands_after_its_history_in_the_log(split: AnySplit) -> None:
    """Right after it, unless all later events are asked of one history."""
    parts = split.split(LOG)
    for cases in (parts.validation, parts.test):
        assert len(cases) > 0
        for user, place, target in zip(cases.histories.users_U, cases.histories.stops_U, cases.targets_C, strict=True):
            later = LOG.events.items[place : LOG.stops_U[user]].tolist()
            assert int(target) in (later if " all " in called(split) else later[:1])


@every_split
def test_nobody_is_asked_about_an_empty_history(split: AnySplit) -> None:
    parts = split.split(LOG)
    for cases in (parts.validation, parts.test):
        assert bool((cases.histories.lengths_U > 0).all())


@every_split
def test_cases_of_a_user_are_neighbours_and_users_ascend(split: AnySplit) -> None:
    parts = split.split(LOG)
    for cases in (parts.validation, parts.test):
        assert torch.equal(cases.histories.users_U, cases.histories.users_U.sort().values)


@every_split
def test_every_user_keeps_a_view_in_training_also_if_an_empty_one(split: AnySplit) -> None:
    parts = split.split(LOG)
    assert torch.equal(parts.train.users_U, LOG.users_U)
    assert torch.equal(parts.train_and_validation.users_U, LOG.users_U)


@every_split
def test_users_are_strangers_only_where_the_split_says_so(split: AnySplit) -> None:
    parts = split.split(LOG)
    learnt = parts.train.users_U[parts.train.lengths_U > 0]
    if split.asks_strangers:
        assert not bool(torch.isin(parts.validation.histories.users_U, learnt).any())


@every_split
def test_the_rule_stands_in_words_with_the_cases(split: AnySplit) -> None:
    parts = split.split(LOG).named("ml-1m")
    assert parts.test.rule == parts.validation.rule == parts.test.select(torch.arange(1)).rule == split.rule
    assert ":" in split.rule


def test_two_splits_have_two_rules() -> None:
    assert len({split.rule for split in SPLITS}) == len(SPLITS)


@every_split
def test_no_held_out_event_is_trained_on(split: AnySplit) -> None:
    parts = split.split(LOG)
    stops = dict(zip(parts.train.users_U.tolist(), parts.train.stops_U.tolist(), strict=True))
    for cases in (parts.validation, parts.test):
        asked = zip(cases.histories.users_U.tolist(), cases.histories.stops_U.tolist(), strict=True)
        assert all(stops[user] <= place for user, place in asked)


@every_split
def test_validation_can_be_learnt_too_and_then_the_test_is_as_it_was(split: AnySplit) -> None:
    parts = split.split(LOG)
    more = parts.with_validation()
    learnt = int(more.train.lengths_U.sum() - parts.train.lengths_U.sum())
    assert learnt >= len(parts.validation)
    assert torch.equal(more.train.counts(), more.test.counts_N)
    assert more.test.sha256 == parts.test.sha256


@every_split
def test_a_name_is_that_of_all_cases_and_changes_no_fingerprint(split: AnySplit) -> None:
    parts = split.split(LOG)
    named = parts.named("ml-1m")
    assert {cases.dataset for cases in (parts.validation, parts.test)} == {"unnamed"}
    assert {cases.dataset for cases in (named.validation, named.test)} == {"ml-1m"}
    assert named.test.select(torch.arange(1)).dataset == "ml-1m"
    assert (named.validation.sha256, named.test.sha256) == (parts.validation.sha256, parts.test.sha256)


@every_split
def test_facts_spare_reading_and_change_nothing(split: AnySplit) -> None:
    parts = split.split(LOG)
    again = split.split(LOG, SplitFacts.of(parts))
    assert again.train.known_counts_N is parts.train.known_counts_N
    assert (again.validation.sha256, again.test.sha256) == (parts.validation.sha256, parts.test.sha256)
    assert again.train.tolist() == parts.train.tolist()
    assert again.notes == parts.notes


@every_split
def test_a_log_with_nothing_to_hold_out_is_refused(split: AnySplit) -> None:
    with pytest.raises(DataError, match="nothing can be held out"):
        split.split(Sequences.of([[1], [2]], 3, times=[[5], [5]]))


@every_entry
def test_a_split_has_a_name_for_people(split: AnySplit) -> None:
    assert split.describe()[0].isupper()


@every_entry
def test_a_recipe_chooses_its_split_by_name(split: Configuration) -> None:
    name = split.model_dump()["name"]
    recipe = resolve_recipe(load_preset("sasrec-ce"), [f"split={name}"]).value
    assert recipe.split == split
    assert Source.of(recipe).split == split


def test_a_misspelt_split_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve_recipe(load_preset("sasrec-ce"), ["split=leave_one_uot"])
    said = """split = "leave_one_uot" (command line): no such choice; did you mean 'leave_one_out'? Known: """
    assert str(caught.value).startswith(said)


@every_split
def test_where_splits_are_the_same_as_learnt_all_but_the_test_is(split: AnySplit) -> None:
    own = split.split(LOG)
    for other in SPLITS:
        if other.as_learnt() != split.as_learnt():
            continue
        parts = other.split(LOG)
        assert parts.train.tolist() == own.train.tolist()
        assert parts.validation.sha256 == own.validation.sha256


def test_the_target_rule_concerns_the_test_alone_unless_validation_has_the_same() -> None:
    def same(**settings: Any) -> bool:
        return Temporal(**settings).as_learnt() == Temporal(**settings | {"target": "all"}).as_learnt()

    assert same(validation="users")
    assert same(validation="last")
    assert same(validation_target="first")
    assert not same()
    assert Temporal(target="first").as_learnt() == Temporal(target="all", validation_target="first").as_learnt()
    assert Users(target="random").as_learnt() != Users().as_learnt()

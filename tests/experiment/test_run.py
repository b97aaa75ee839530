"""From a recipe to a number. The small log of small_runs.py has 30 users with 5 to 9 events each and 12 items."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.compute.processes import Alone
from nextitem.data.interactions import Interactions
from nextitem.data.log import index
from nextitem.data.prepare import Prepared
from nextitem.data.source import Source
from nextitem.data.splits import Temporal
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.baseline import BaselineLearner
from nextitem.experiment.folder.writing import weights_of
from nextitem.experiment.presets import load_preset, preset_names, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.model.baselines import BPRMF
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.parts import with_parts
from worlds.shelves import with_settings
from worlds.small_runs import ENCODER, ITEMS, NEURAL, RECIPES, USERS, chains, log_of, prepared_from, sha256

TWO_EPOCHS = Training(epochs=2, batch_size=8, patience=None)


def small(preset: str) -> Recipe:
    """A built-in recipe with small sizes and a fixed number of epochs."""
    recipe = resolve_recipe(load_preset(preset)).value
    if recipe.learner.unplanned is not None:
        return recipe
    sizes: dict[str, Any] = {
        "encoder": with_settings(recipe.sequence.encoder, **ENCODER, inner=16),
        "items": with_settings(recipe.sequence.items, layers=(8, 5, 3)),
        "objective": with_settings(
            recipe.sequence.objective,
            maximum_length=min(8, recipe.sequence.objective.maximum_length),
            stride=_shorter(recipe.sequence.objective),
        ),
        "training": TWO_EPOCHS,
    }
    if recipe.sequence.negatives is not None:
        sizes["negatives"] = with_settings(recipe.sequence.negatives, count=min(3, recipe.sequence.negatives.count))
    return with_parts(recipe, **sizes)


def _shorter(objective: Any) -> int | None:
    """A stride of small windows for an objective that slides."""
    return None if getattr(objective, "stride", None) is None else 4


def with_permuted_held_out_events(histories: list[list[int]]) -> list[list[int]]:
    """Everybody's last two events are those of somebody else, so that the catalogue stays the same."""
    return [history[:-2] + histories[(user + 7) % len(histories)][-2:] for user, history in enumerate(histories)]


def split_by(recipe: Recipe, interactions: Interactions) -> Prepared:
    """These events as the recipe splits them."""
    log = index(interactions)
    return Prepared(Source.of(recipe), log, recipe.split.split(log.sequences), {}, ())


@pytest.mark.parametrize("preset", preset_names())
def test_nothing_that_is_trained_depends_on_a_held_out_event(preset: str) -> None:
    honest, permuted = chains(), with_permuted_held_out_events(chains())
    one, other = (
        run(small(preset), Session(seed=1), prepared=prepared_from(log_of(log))) for log in (honest, permuted)
    )
    assert one.prepared.log.items.ids.equals(other.prepared.log.items.ids)
    assert one.prepared.split.train.tolist() == other.prepared.split.train.tolist()
    assert one.prepared.split.validation.sha256 != other.prepared.split.validation.sha256
    assert sha256(weights_of(one.model)) == sha256(weights_of(other.model))
    assert [epoch.train_loss for epoch in one.history.epochs] == [epoch.train_loss for epoch in other.history.epochs]
    assert one.test.above_C.tolist() != other.test.above_C.tolist()


@pytest.mark.parametrize("validation", ["time", "users", "last"])
@pytest.mark.parametrize("name", ["sasrec-sampled", "bert4rec", "co-occurrence"])
def test_nothing_that_is_trained_depends_on_an_event_at_or_after_the_cut(name: str, validation: Any) -> None:
    """Not either on when such an event is, and how many there are, as long as the catalogue stays the same."""
    split = Temporal(cut="1970-01-01T00:05", validation_cut="1970-01-01T00:04", validation=validation)
    recipe = RECIPES[name].model_copy(update={"split": split})
    if recipe.learner.unplanned is None:
        recipe = with_parts(recipe, training=TWO_EPOCHS)
    honest = chains()
    permuted = [history[:5] + honest[(user + 7) % len(honest)][5:] for user, history in enumerate(honest)]
    one, other = (run(recipe, Session(seed=1), prepared=split_by(recipe, log_of(log))) for log in (honest, permuted))
    assert one.prepared.split.train.tolist() == other.prepared.split.train.tolist()
    assert sha256(weights_of(one.model)) == sha256(weights_of(other.model))
    assert one.validation.above_C.tolist() == other.validation.above_C.tolist()
    assert one.test.certificate.split != other.test.certificate.split
    assert one.test.certificate.rule == split.rule


def test_test_users_of_whom_nothing_is_learnt_are_counted_where_users_have_vectors() -> None:
    split = Temporal(cut="1970-01-01T00:10", validation="last")
    recipe = Recipe(model=BPRMF(factors=2, iterations=1), split=split)
    later = [(f"u{user:02}", f"i{user}", 600.0 + second) for user in (3, 90) for second in (0, 1, 2)]
    events = log_of(chains()).events.rows()
    users, items, times = zip(*[*((u, i, t) for u, i, t in events), *later], strict=True)
    outcome = run(recipe, Session(seed=0), prepared=split_by(recipe, Interactions.from_columns(users, items, times)))
    assert len(outcome.prepared.split.test) == 2
    said = "1 of 2 test cases are of users of whom nothing is learnt: bpr_mf has a vector for each user"
    assert outcome.prepared.notes[-1].startswith(said)


@pytest.mark.parametrize("preset", preset_names())
def test_what_is_trained_depends_on_training_events(preset: str) -> None:
    """Otherwise the test above would prove nothing."""
    changed = chains()
    changed[0][0], changed[0][1] = changed[0][1], changed[1][0]
    one, other = (
        run(small(preset), Session(seed=1), prepared=prepared_from(log_of(log))) for log in (chains(), changed)
    )
    assert sha256(weights_of(one.model)) != sha256(weights_of(other.model))


def test_held_out_events_choose_the_best_epoch_and_nothing_else() -> None:
    """With early stopping the weights are those of one of the epochs, and validation says which."""
    recipe = with_parts(RECIPES["sasrec-ce"], training=Training(epochs=3, batch_size=8, patience=1))
    outcome = run(recipe, Session(seed=0), prepared=prepared_from(log_of(chains())))
    values = [epoch.validation["ndcg@10"] for epoch in outcome.history.epochs]
    best = outcome.history.best_epoch
    assert values[best - 1] == max(values) == outcome.validation.means["ndcg@10"]
    fixed = Training(epochs=best, batch_size=8, patience=None)
    last = run(with_parts(recipe, training=fixed), Session(seed=0), prepared=prepared_from(log_of(chains())))
    assert sha256(weights_of(outcome.model)) == sha256(weights_of(last.model))


@pytest.mark.parametrize("name", NEURAL)
def test_equal_seeds_give_equal_weights_and_other_seeds_other_ones(name: str) -> None:
    recipe = with_parts(RECIPES[name], training=Training(epochs=1, patience=None))
    found = [
        sha256(weights_of(run(recipe, Session(seed), prepared=prepared_from(log_of(chains()))).model))
        for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]


def test_an_untrained_model_is_decided_by_its_seed() -> None:
    one, again, other = (RECIPES["bert4rec"].sequence.build(ITEMS, seed).state_dict() for seed in (1, 1, 2))
    assert sha256(one) == sha256(again) != sha256(other)


def test_reports_are_of_all_validation_and_all_test_cases() -> None:
    prepared = prepared_from(log_of(chains()))
    limited = Training(epochs=1, patience=None, validation_users=4)
    outcome = run(with_parts(RECIPES["sasrec-ce"], training=limited), Session(seed=0), prepared=prepared)
    for report, cases in ((outcome.validation, prepared.split.validation), (outcome.test, prepared.split.test)):
        assert report.certificate.cases == len(cases) == USERS
        assert report.means == evaluate(outcome.model, cases).means
    assert outcome.parameters == sum(weight.numel() for weight in weights_of(outcome.model).values())


def test_a_baseline_is_counted_on_training_events_and_not_trained() -> None:
    outcome = run(RECIPES["popularity"], Session(seed=0), prepared=prepared_from(log_of(chains())))
    trained = [item for history in chains() for item in history[:-2]]
    assert weights_of(outcome.model)["counts"].tolist() == [trained.count(item) for item in range(ITEMS)]
    assert (outcome.history.epochs, outcome.parameters) == ([], 0)
    assert outcome.train_seconds > 0


TO_AND_FRO = [[2 * (user // 5) + event % 2 for event in range(8)] for user in range(20)]  # between two items each


@pytest.mark.parametrize("name", ["sasrec-ce", "bert4rec", "gru4rec", "co-occurrence"])
def test_repeating_targets_are_hit_by_every_kind_of_model_where_nothing_is_hidden(name: str) -> None:
    recipe = RECIPES[name]
    if recipe.learner.unplanned is None:
        recipe = with_parts(recipe, training=Training(epochs=2, batch_size=8))
    found = run(recipe.model_copy(update={"hide": "nothing"}), Session(0), prepared=prepared_from(log_of(TO_AND_FRO)))
    assert (found.test.certificate.hidden, found.validation.certificate.hidden) == ("nothing", "nothing")
    assert min(found.test.means["hit_rate@10"], found.validation.means["hit_rate@10"]) == found.test.ceiling == 1.0
    assert all(epoch.validation["hit_rate@10"] == 1.0 for epoch in found.history.epochs)  # what chooses the epoch
    assert not any("repeat the history" in note for note in found.prepared.notes)


@pytest.mark.parametrize("hide", ["history", "last:2"])
def test_hidden_targets_are_counted_in_a_note_with_the_remedy(hide: str) -> None:
    recipe = RECIPES["popularity"].model_copy(update={"hide": hide})
    found = run(recipe, Session(0), prepared=prepared_from(log_of([*TO_AND_FRO, [0, 1, 2, 3, 4, 5]])))
    assert found.prepared.notes[-1] == (
        f"20 of 21 test targets repeat the history: they cannot be hit, since hide={hide}; hide=nothing ranks them"
    )
    assert found.test.ceiling == pytest.approx(1 / 21)


class Listening(Alone):
    """One process that writes down on what it was asked to agree."""

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"))
        object.__setattr__(self, "asked", dict[str, set[str]]())  # the class is frozen

    def agree(self, what: str, tensors: Mapping[str, Tensor]) -> None:
        self.asked[what] = set(tensors)  # type: ignore[attr-defined]


@pytest.mark.parametrize("reads_times", [False, True])
def test_processes_agree_on_times_where_the_model_reads_them(
    reads_times: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES["popularity"]
    monkeypatch.setattr(BaselineLearner, "reads_times", reads_times)
    processes = Listening()
    run(recipe, Session(0, processes), prepared=prepared_from(log_of(chains())))
    assert processes.asked["its events"] == {"items", "starts", "stops"} | ({"times"} if reads_times else set())

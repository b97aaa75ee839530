"""From a recipe to a number. The small log of small_runs.py has 30 users with 5 to 9 events each and 12 items."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem import experiment
from nextitem.datasets import BEAUTY
from nextitem.datasets.synthetic import generate
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation import evaluate
from nextitem.experiment import Source, build_model, outside_histories, prepare, run, validation_cases, validation_loss
from nextitem.interactions import Interactions
from nextitem.losses import BinaryCrossEntropy, CrossEntropy, SampledCrossEntropy
from nextitem.negatives import Uniform
from nextitem.objectives import NextItem
from nextitem.reading import Columns
from nextitem.recipe import Preparation, Recipe, load_preset, preset_names, resolve_recipe
from nextitem.runs import weights_of
from nextitem.sequences import Sequences
from nextitem.splits import LeaveOneOut
from nextitem.training import Training
from shelves import with_settings
from small_runs import ENCODER, ITEMS, NEURAL, RECIPES, USERS, chains, log_of, prepared_from, sha256, write_csv

TWO_EPOCHS = Training(epochs=2, batch_size=8, patience=None)


def small(preset: str) -> Recipe:
    """A built-in recipe with small sizes and a fixed number of epochs."""
    recipe = resolve_recipe(load_preset(preset)).value
    sizes: dict[str, Any] = {
        "encoder": with_settings(recipe.encoder, **ENCODER, inner=16),
        "objective": with_settings(recipe.objective, maximum_length=8),
        "training": TWO_EPOCHS,
    }
    if recipe.negatives is not None:
        sizes["negatives"] = with_settings(recipe.negatives, count=min(3, recipe.negatives.count))
    return Recipe(**{**dict(recipe), **sizes})


def with_permuted_held_out_events(histories: list[list[int]]) -> list[list[int]]:
    """Everybody's last two events are those of somebody else, so that the catalogue stays the same."""
    return [history[:-2] + histories[(user + 7) % len(histories)][-2:] for user, history in enumerate(histories)]


@pytest.mark.parametrize("preset", preset_names())
def test_nothing_that_is_trained_depends_on_a_held_out_event(preset: str) -> None:
    honest, permuted = chains(), with_permuted_held_out_events(chains())
    one, other = (run(small(preset), seed=1, prepared=prepared_from(log_of(log))) for log in (honest, permuted))
    assert one.prepared.log.items.ids.equals(other.prepared.log.items.ids)
    assert one.prepared.split.train.tolist() == other.prepared.split.train.tolist()
    assert one.prepared.split.validation.sha256 != other.prepared.split.validation.sha256
    assert sha256(weights_of(one.model)) == sha256(weights_of(other.model))
    assert [epoch.train_loss for epoch in one.history.epochs] == [epoch.train_loss for epoch in other.history.epochs]
    assert one.test.above_C.tolist() != other.test.above_C.tolist()


@pytest.mark.parametrize("preset", preset_names())
def test_what_is_trained_depends_on_training_events(preset: str) -> None:
    """Otherwise the test above would prove nothing."""
    changed = chains()
    changed[0][0], changed[0][1] = changed[0][1], changed[1][0]
    one, other = (run(small(preset), seed=1, prepared=prepared_from(log_of(log))) for log in (chains(), changed))
    assert sha256(weights_of(one.model)) != sha256(weights_of(other.model))


def test_held_out_events_choose_the_best_epoch_and_nothing_else() -> None:
    """With early stopping the weights are those of one of the epochs, and validation says which."""
    recipe = Recipe(**{**dict(RECIPES["sasrec-ce"]), "training": Training(epochs=3, batch_size=8, patience=1)})
    outcome = run(recipe, seed=0, prepared=prepared_from(log_of(chains())))
    values = [epoch.validation["ndcg@10"] for epoch in outcome.history.epochs]
    best = outcome.history.best_epoch
    assert values[best - 1] == max(values) == outcome.validation.means["ndcg@10"]
    fixed = Training(epochs=best, batch_size=8, patience=None)
    last = run(Recipe(**{**dict(recipe), "training": fixed}), seed=0, prepared=prepared_from(log_of(chains())))
    assert sha256(weights_of(outcome.model)) == sha256(weights_of(last.model))


@pytest.mark.parametrize("name", NEURAL)
def test_equal_seeds_give_equal_weights_and_other_seeds_other_ones(name: str) -> None:
    recipe = Recipe(**{**dict(RECIPES[name]), "training": Training(epochs=1, patience=None)})
    found = [
        sha256(weights_of(run(recipe, seed, prepared=prepared_from(log_of(chains()))).model)) for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]


def test_an_untrained_model_is_decided_by_its_seed() -> None:
    one, again, other = (build_model(RECIPES["bert4rec"], ITEMS, seed).state_dict() for seed in (1, 1, 2))
    assert sha256(one) == sha256(again) != sha256(other)


def test_reports_are_of_all_validation_and_all_test_cases() -> None:
    prepared = prepared_from(log_of(chains()))
    limited = Training(epochs=1, patience=None, validation_users=4)
    outcome = run(Recipe(**{**dict(RECIPES["sasrec-ce"]), "training": limited}), seed=0, prepared=prepared)
    for report, cases in ((outcome.validation, prepared.split.validation), (outcome.test, prepared.split.test)):
        assert report.certificate.cases == len(cases) == USERS
        assert report.means == evaluate(outcome.model, cases).means
    assert outcome.parameters == sum(weight.numel() for weight in weights_of(outcome.model).values())


def test_a_baseline_is_counted_on_training_events_and_not_trained() -> None:
    outcome = run(RECIPES["popularity"], seed=0, prepared=prepared_from(log_of(chains())))
    trained = [item for history in chains() for item in history[:-2]]
    assert weights_of(outcome.model)["counts"].tolist() == [trained.count(item) for item in range(ITEMS)]
    assert (outcome.history.epochs, outcome.parameters) == ([], 0)


def drawn(seed: int, users: int | None) -> list[int]:
    cases = prepared_from(log_of(chains())).split.validation
    return validation_cases(cases, users, seed).histories.users_U.tolist()


def test_the_seed_draws_the_validation_users() -> None:
    assert drawn(seed=0, users=10) == drawn(seed=0, users=10) != drawn(seed=1, users=10)
    for seed in (0, 1):
        users = drawn(seed, users=10)
        assert users == sorted(set(users))
        assert len(users) == 10


@pytest.mark.parametrize("users", [None, USERS, USERS + 1, 10_000])
def test_all_are_validated_where_there_are_not_more(users: int | None) -> None:
    assert drawn(seed=0, users=users) == list(range(USERS))


# Two users and six items, all of which occur in training: users' training events are 0 1 2 3 and 4 5 0, their
# validation targets 4 and 1. Windows of two items show less of a history than must be excluded.
TINY = Sequences.of([[0, 1, 2, 3, 4, 5], [4, 5, 0, 1, 2]], 6)
OUTSIDE = [[5], [2, 3]]  # neither in the training history nor the target
TARGETS = [4, 1]


def tiny(**shelves: Any) -> Recipe:
    encoder = with_settings(Recipe().encoder, dim=8, dropout=0.5)
    return Recipe(encoder=encoder, objective=NextItem(maximum_length=2), **shelves)


def scores_of(recipe: Recipe) -> Tensor:
    """What the untrained model thinks after each training history; weights are enlarged to tell scores apart."""
    split = LeaveOneOut().split(TINY)
    return lively(recipe).query(split.validation.histories).scores(0, 6).double()


def lively(recipe: Recipe) -> Any:
    model = build_model(recipe, 6, seed=0)
    with torch.no_grad():
        model.items.weight_Nd.mul_(20)
    return model


def loss_of(recipe: Recipe, seed: int = 0) -> float:
    return validation_loss_of(lively(recipe), recipe, seed)


def validation_loss_of(model: Any, recipe: Recipe, seed: int) -> float:
    split = LeaveOneOut().split(TINY)
    outside = None if recipe.negatives is None else outside_histories(recipe.negatives).build(split.train)
    size = recipe.training.batch_size
    return validation_loss(model, recipe.loss.build(), outside, split.validation, size, seed)


def test_the_validation_loss_is_the_mean_over_cases_without_dropout() -> None:
    recipe = tiny()
    scores_CN = scores_of(recipe)
    naive = [float(scores_CN[case].logsumexp(0) - scores_CN[case, target]) for case, target in enumerate(TARGETS)]
    assert loss_of(recipe) == pytest.approx(sum(naive) / 2, rel=1e-5)


def test_the_validation_loss_does_not_depend_on_the_size_of_steps() -> None:
    one = tiny(training=Training(batch_size=1))
    assert loss_of(one) == pytest.approx(loss_of(tiny()), rel=1e-5)


@pytest.mark.parametrize("exclude", ["target", "window", "history"])
@pytest.mark.parametrize("sharing", ["position", "sequence"])
def test_negatives_of_the_validation_loss_are_outside_history_and_target(exclude: str, sharing: str) -> None:
    """Asked for without replacement and in excess, they are all that is left; what training excludes is not asked."""
    every = Uniform(count=50, sharing=sharing, replacement=False, exclude=exclude)
    recipe = tiny(loss=SampledCrossEntropy(), negatives=every)
    scores_CN = scores_of(recipe)
    naive = [
        float(scores_CN[case, [target, *others]].logsumexp(0) - scores_CN[case, target])
        for case, (target, others) in enumerate(zip(TARGETS, OUTSIDE, strict=True))
    ]
    assert loss_of(recipe) == pytest.approx(sum(naive) / 2, rel=1e-5)


def test_the_validation_loss_of_one_negative_is_one_of_the_few_it_can_be() -> None:
    recipe = tiny(loss=BinaryCrossEntropy(), negatives=Uniform(count=1))
    scores_CN = scores_of(recipe)
    positive = sum(float(-scores_CN[case, target].sigmoid().log()) for case, target in enumerate(TARGETS))
    # Two of three allowed numbers of the second user: 1 itself, where it is drawn, does not count.
    possible = [
        (positive - float((-scores_CN[0, 5]).sigmoid().log()) * first - float(second)) / 2
        for first in (0, 1)
        for second in (0.0, *((-scores_CN[1, [2, 3]]).sigmoid().log()))
    ]
    for seed in range(8):
        assert min(abs(loss_of(recipe, seed) - value) for value in possible) < 1e-5


def test_a_sampled_validation_loss_is_the_same_at_every_call_and_differs_by_seed() -> None:
    recipe = tiny(loss=BinaryCrossEntropy(), negatives=Uniform(count=1))
    torch.manual_seed(0)
    one = loss_of(recipe)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert loss_of(recipe) == one
    assert torch.equal(torch.rand(1), expected)  # nor is a global random number used up
    assert len({loss_of(recipe, seed) for seed in range(8)}) > 1


def test_the_validation_loss_has_no_gradient() -> None:
    recipe = tiny()
    model = lively(recipe)
    validation_loss_of(model, recipe, 0)
    assert all(weight.grad is None for weight in model.parameters())
    assert loss_of(tiny(loss=CrossEntropy())) == loss_of(recipe)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_csv(log_of(chains()), tmp_path / "events.csv")


def test_data_can_be_the_path_of_a_file(file: Path) -> None:
    prepared = prepare(Recipe(data=str(file)))
    assert prepared.log.sequences.tolist() == chains()
    assert prepared.log.items.ids.to_list() == [f"i{item:02}" for item in range(ITEMS)]
    assert len(prepared.split.test) == USERS
    assert (prepared.titles, prepared.notes, prepared.upper_bound) == ({}, (), None)


def test_columns_of_a_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("who,what,when\nann,a,3\nann,b,1\nann,c,2\n")
    recipe = Recipe(data=str(tmp_path / "sales.csv"), columns=Columns(user="who", item="what", time="when"))
    assert prepare(recipe).log.sequences.tolist() == [[1, 2, 0]]


@pytest.mark.parametrize("data", ["synthetic", "ml-1m", "beauty"])
def test_a_dataset_with_columns_of_its_own_takes_no_names_of_columns(data: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"columns=\{{'item': 'sku'\}} .* {data} is a dataset .*leave columns"
    ):
        prepare(Recipe(data=data, columns=Columns(item="sku")))


def test_a_file_that_is_not_there_is_an_error_of_data() -> None:
    with pytest.raises(DataError, match=r"there is no file nowhere/events\.csv"):
        prepare(Recipe(data="nowhere/events.csv"))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ml-1", "did you mean 'ml-1m'?"),
        ("synthtic", "did you mean 'synthetic'?"),
        ("Beauty", "did you mean 'beauty'?"),
    ],
)
def test_an_unknown_dataset_is_an_error_with_the_known_ones(name: str, advice: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        prepare(Recipe(data=name))
    assert str(caught.value).startswith(f"there is no dataset '{name}'; {advice} Known: synthetic, ml-1m, beauty")
    assert str(caught.value).endswith("or the path of a file")


def test_a_dataset_by_name_is_acquired(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(description: object) -> Interactions:
        asked.append(description)
        return log_of(chains())

    monkeypatch.setattr("nextitem.acquisition.load", load)
    assert prepare(Recipe(data="beauty")).log.sequences.tolist() == chains()
    assert asked == [BEAUTY]


def written(tmp_path: Path, rows: str) -> str:
    (tmp_path / "events.csv").write_text(f"user,item,time\n{rows}")
    return str(tmp_path / "events.csv")


def test_notes_count_users_with_too_few_events(tmp_path: Path) -> None:
    data = written(tmp_path, "ann,a,1\nann,b,2\nann,c,3\nbob,a,1\nbob,b,2\ncia,c,1\n")
    prepared = prepare(Recipe(data=data))
    assert prepared.notes == ("2 users with fewer than 3 events are trained on but not evaluated",)
    assert prepared.split.train.tolist() == [[0], [0, 1], [2]]


def test_notes_count_repeats_that_are_kept(tmp_path: Path) -> None:
    data = written(tmp_path, "ann,a,1\nann,b,2\nann,a,3\nann,a,4\nbob,a,1\nbob,b,2\nbob,c,3\n")
    kept = prepare(Recipe(data=data)).notes
    assert kept == ("2 events repeat an item of the same user and are kept; a target that does counts as missed",)
    dropped = prepare(Recipe(data=data, preparation=Preparation(repeats="first"))).notes
    assert dropped[0] == "2 of 7 events left out by the filters"
    assert not any("repeat" in note for note in dropped)


def test_notes_count_events_that_only_file_order_ranks(tmp_path: Path) -> None:
    data = written(tmp_path, "ann,b,7\nann,a,7\nann,c,7\nann,d,8\nbob,a,7\nbob,b,8\nbob,c,8\n")
    prepared = prepare(Recipe(data=data))
    assert prepared.notes == ("5 events share user and time with another; file order decides",)
    assert prepared.log.sequences.tolist() == [[1, 0, 2, 3], [0, 1, 2]]


def test_notes_count_what_filters_left_out(tmp_path: Path) -> None:
    data = written(tmp_path, "ann,a,1\nann,a,2\nann,b,3\nann,c,4\nbob,a,1\nbob,b,2\nbob,c,3\ncia,d,1\n")
    recipe = Recipe(data=data, preparation=Preparation(repeats="first", minimum_per_item=2))
    prepared = prepare(recipe)
    assert prepared.notes == ("2 of 8 events left out by the filters",)  # Ann's second a, Cia's only d
    assert prepared.log.items.ids.to_list() == ["a", "b", "c"]
    assert prepared.log.sequences.tolist() == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize(("iterate", "users"), [(True, ["ann", "bob"]), (False, ["ann", "bob", "cia"])])
def test_minima_are_applied_until_nothing_changes_or_once(iterate: bool, users: list[str], tmp_path: Path) -> None:
    # Without Dan's events d is Cia's alone, and without d she has two events.
    rows = "".join(f"{user},{item},{time}\n" for user in ("ann", "bob") for time, item in enumerate("abc"))
    data = written(tmp_path, f"{rows}cia,a,1\ncia,b,2\ncia,d,3\ndan,d,1\n")
    recipe = Recipe(data=data, preparation=Preparation(minimum_per_user=3, minimum_per_item=2, iterate=iterate))
    assert prepare(recipe).log.users.ids.to_list() == users


def test_filters_that_leave_nothing_are_an_error(file: Path) -> None:
    with pytest.raises(DataError, match="the log has no events; check the filters"):
        prepare(Recipe(data=str(file), preparation=Preparation(minimum_per_user=100)))


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> Interactions:
    """A smaller log in place of the generated one."""
    made = generate(users=40, items=600)
    monkeypatch.setattr(experiment, "generate", lambda: made)
    return made.interactions


def test_generated_data_has_titles_and_an_upper_bound(generated: Interactions) -> None:
    prepared = prepare(Recipe(data="synthetic"))
    assert set(prepared.log.items.ids) <= set(prepared.titles)
    assert prepared.upper_bound is not None
    outcome = run(Recipe(baseline=RECIPES["popularity"].baseline), seed=0)
    bound = outcome.upper_bound
    assert bound is not None
    assert set(bound) == {"hit_rate@10", "ndcg@10"}
    assert 0 < bound["ndcg@10"] < bound["hit_rate@10"] < 1
    assert bound == prepared.upper_bound(prepared.split.test)


def test_filtered_generated_data_has_no_upper_bound(generated: Interactions) -> None:
    """The process knows whole histories: without some of their events its probabilities are others."""
    prepared = prepare(Recipe(data="synthetic", preparation=Preparation(minimum_per_item=2)))
    assert prepared.upper_bound is None
    assert "events left out" in prepared.notes[0]


def test_prepared_data_spares_reading_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "prepare", None)
    prepared = prepared_from(log_of(chains()))
    assert run(RECIPES["popularity"], seed=0, prepared=prepared).prepared is prepared


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "ml-1m"}, r"made with data='synthetic', and the recipe has 'ml-1m'"),
        ({"columns": Columns(item="sku")}, r"made with columns=.*item=None.* recipe has .*item='sku'"),
        ({"preparation": Preparation(repeats="first")}, r"made with preparation=.*'all'.* recipe has .*'first'"),
    ],
)
def test_prepared_data_of_another_recipe_is_refused(changes: dict[str, Any], message: str) -> None:
    recipe = Recipe(**{**dict(RECIPES["popularity"]), **changes})
    with pytest.raises(ConfigurationError, match=message):
        run(recipe, seed=0, prepared=prepared_from(log_of(chains())))


@pytest.mark.parametrize(
    ("data", "name"), [("ml-1m", "ml-1m"), ("../logs/events.csv", "events.csv"), ("/logs/events.csv", "events.csv")]
)
def test_data_is_called_the_same_wherever_it_lies(data: str, name: str) -> None:
    assert Source.of(Recipe(data=data)).name == name


def test_the_certificate_names_the_file_and_not_its_folder(file: Path) -> None:
    recipe = Recipe(**{**dict(RECIPES["popularity"]), "data": str(file)})
    outcome = run(recipe, seed=0)
    assert outcome.test.certificate.dataset == outcome.validation.certificate.dataset == "events.csv"


def test_validation_during_training_draws_no_interval_and_builds_its_sampler_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built, asked = [], []
    build, evaluate_all = Uniform.build, experiment.evaluate

    def counting(settings: Uniform, train: Sequences) -> object:
        built.append(settings.exclude)
        return build(settings, train)

    def watching(*arguments: Any, **options: Any) -> object:
        asked.append(options.get("intervals", True))
        return evaluate_all(*arguments, **options)

    monkeypatch.setattr(Uniform, "build", counting)
    monkeypatch.setattr(experiment, "evaluate", watching)
    outcome = run(RECIPES["sasrec-bce"], seed=0, prepared=prepared_from(log_of(chains())))
    assert built == ["window", "history"]
    assert asked == [False] * len(outcome.history.epochs) + [True, True]


def test_events_out_of_time_order_are_put_in_order(file: Path, tmp_path: Path) -> None:
    log = log_of(chains())
    shuffled = replace(log, events=log.events.sample(fraction=1.0, shuffle=True, seed=1))
    other = prepare(Recipe(data=str(write_csv(shuffled, tmp_path / "shuffled.csv"))))
    assert other.split.test.sha256 == prepare(Recipe(data=str(file))).split.test.sha256
    assert not shuffled.events.equals(log.events)

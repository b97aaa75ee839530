"""What training is told after every epoch: on which users, and what the validation loss is."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.leave_one_out import LeaveOneOut
from nextitem.experiment import run as experiment
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.model.losses import BinaryCrossEntropy, CrossEntropy, SampledCrossEntropy
from nextitem.model.negatives import ByPopularity, InBatch, Mixed, Uniform
from nextitem.model.objectives import NextItem
from nextitem.training.session import Session
from nextitem.training.training import Training
from nextitem.training.validation import outside_sampler, validation_cases, validation_loss
from worlds.parts import sequence
from worlds.shelves import with_settings
from worlds.small_runs import RECIPES, USERS, chains, log_of, prepared_from


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
    encoder = with_settings(Recipe().sequence.encoder, dim=8, dropout=0.5)
    return sequence(encoder=encoder, objective=NextItem(maximum_length=2), **shelves)


def scores_of(recipe: Recipe) -> Tensor:
    """What the untrained model thinks after each training history; weights are enlarged to tell scores apart."""
    split = LeaveOneOut().split(TINY)
    return lively(recipe).query(split.validation.histories).scores(0, 6).double()


def lively(recipe: Recipe) -> Any:
    model = recipe.sequence.build(6, seed=0)
    with torch.no_grad():
        model.items.weight_Nd.mul_(20)
    return model


def loss_of(recipe: Recipe, seed: int = 0) -> float:
    return validation_loss_of(lively(recipe), recipe, seed)


def validation_loss_of(model: Any, recipe: Recipe, seed: int) -> float:
    split = LeaveOneOut().split(TINY)
    outside = (
        None if recipe.sequence.negatives is None else recipe.sequence.negatives.outside_histories().build(split.train)
    )
    size = recipe.sequence.training.batch_size
    return validation_loss(model, recipe.sequence.loss.build(), outside, split.validation, size, Session(seed))


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


@pytest.mark.parametrize(
    "negatives",
    [InBatch(count=50_000), Mixed(count=50_000, exponent=1.0), ByPopularity(count=50_000, exponent=1.0)],
)
def test_other_targets_are_no_negatives_of_the_validation_loss(negatives: Any) -> None:
    """Item 5 alone is left for the first user, and 2 and 3, equally frequent, for the second."""
    recipe = tiny(loss=SampledCrossEntropy(log_q="revised"), negatives=negatives)
    scores_CN = scores_of(recipe)
    naive = [
        float(scores_CN[case, [target, *others]].logsumexp(0) - scores_CN[case, target])
        for case, (target, others) in enumerate(zip(TARGETS, OUTSIDE, strict=True))
    ]
    assert loss_of(recipe) == pytest.approx(sum(naive) / 2, rel=0.02)


def test_the_sampler_of_training_serves_validation_where_it_draws_the_same() -> None:
    train = Sequences.of([[0, 1], [2, 3]], 4)
    for exclude, is_same in (("history", True), ("window", False)):
        negatives = Uniform(exclude=exclude)
        own = negatives.build(train)
        assert (outside_sampler(negatives, train, own) is own) == is_same


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
    for place in ("sequence", "run"):
        monkeypatch.setattr(f"nextitem.experiment.{place}.evaluate", watching)
    outcome = run(RECIPES["sasrec-bce"], Session(seed=0), prepared=prepared_from(log_of(chains())))
    assert built == ["window", "history"]
    assert asked == [False] * len(outcome.history.epochs) + [True, True]

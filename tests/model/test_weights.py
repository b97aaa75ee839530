"""Stored numbers are those of the model that is asked for, or are refused by name, shape and type."""

import subprocess
import sys

import pytest
import torch

from nextitem.model.baselines import BPRMF, CoOccurrence, Popularity
from nextitem.model.weights import check_alike
from worlds.small_runs import ITEMS, NEURAL, RECIPES, outcome

COUNTS = torch.ones(3, dtype=torch.float64)


def test_equal_names_shapes_and_types_are_alike_whatever_the_numbers() -> None:
    check_alike({"a": torch.zeros(2, 3)}, {"a": torch.ones(2, 3)})


@pytest.mark.parametrize(
    ("found", "fact"),
    [
        ({}, "a is missing"),
        ({"a": torch.zeros(3)}, r"a is \(3\) of float32 and should be \(2\) of float32"),
        ({"a": torch.zeros(2).half()}, r"a is \(2\) of float16 and should be \(2\) of float32"),
        ({"a": torch.zeros(2), "b": torch.zeros(1)}, r"b is of no such model \(1 tensors are not\)"),
    ],
)
def test_others_are_refused_by_name(found: dict[str, torch.Tensor], fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        check_alike(found, {"a": torch.zeros(2)})


@pytest.mark.parametrize("name", NEURAL)
def test_a_model_is_compared_before_memory_is_taken_for_it(name: str) -> None:
    recipe, tensors = RECIPES[name], dict(outcome(name).model.tensors())
    assert recipe.learner.restore(tensors, ITEMS)
    with pytest.raises(ValueError, match=r"items\..* should be \(1000000000000, 8\) of float32"):
        recipe.learner.restore(tensors, 10**12)


def test_numbers_of_another_baseline_are_no_ones_own() -> None:
    tensors = {"counts": COUNTS, "keys": torch.tensor([0, 1, 2]), "popularity": COUNTS}
    assert RECIPES["co-occurrence"].learner.restore(tensors, 3)
    with pytest.raises(ValueError, match="keys is of no popularity"):
        RECIPES["popularity"].learner.restore(tensors, 3)


@pytest.mark.parametrize(
    ("baseline", "tensors", "fact"),
    [
        (Popularity(), {}, "counts is missing"),
        (Popularity(), {"counts": COUNTS.float()}, "counts is .* should have 1 dimension of float64"),
        (Popularity(), {"counts": -COUNTS}, "counts holds numbers below 0"),
        (BPRMF(), {"users": torch.ones(2, 4), "items": torch.ones(3, 5)}, "users has 4 factors and items 5"),
        (BPRMF(), {"users": torch.ones(2), "items": torch.ones(3, 5)}, "users is .* should have 2 dimensions"),
        (CoOccurrence(), {"keys": [1, 1], "counts": COUNTS[:2]}, "keys should ascend"),
        (CoOccurrence(), {"keys": [1, 9], "counts": COUNTS[:2]}, "keys should be pairs of 3 items"),
        (CoOccurrence(), {"keys": [-1, 8], "counts": COUNTS[:2]}, "keys should be pairs of 3 items"),
        (CoOccurrence(), {"keys": [1, 8], "counts": COUNTS}, "counts has 3 numbers and keys 2"),
        (CoOccurrence(), {"keys": [1, 8], "counts": -COUNTS[:2]}, "should be at least 0"),
    ],
)  # fmt: skip
def test_numbers_that_no_baseline_learns_are_refused(
    baseline: Popularity | BPRMF | CoOccurrence, tensors: dict[str, torch.Tensor | list[int]], fact: str
) -> None:
    given = {name: torch.as_tensor(values) for name, values in tensors.items()}
    if isinstance(baseline, CoOccurrence):
        given["popularity"] = COUNTS
    with pytest.raises(ValueError, match=fact):
        baseline.restore(given)


def test_a_model_is_restored_without_torchs_compiler() -> None:
    code = (
        "import sys; from nextitem.experiment.sequence import SequenceRecipe; recipe = SequenceRecipe();"
        "recipe.restore(recipe.build(5, seed=0).state_dict(), 5); assert 'torch._dynamo' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

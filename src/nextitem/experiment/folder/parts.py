"""What a run was made by, and what it learnt, as they must be; what is not so raises ValueError."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from nextitem.experiment.own import check_encoder
from nextitem.experiment.recipe import Recipe
from nextitem.settings.keys import settings_of
from nextitem.storage import content_of, parsed

_TOO_LARGE = 2**64  # of a setting: one more than the largest seed


def recipe_in(file: Path) -> Recipe:
    """The recipe of a run."""
    content = content_of(file)
    check_encoder(content)
    recipe = parsed(Recipe, content)
    for key, value in settings_of(recipe).items():
        if isinstance(value, int) and abs(value) >= _TOO_LARGE:
            raise ValueError(f"{key} should be below 2⁶⁴, and has {value.bit_length():,} bits")
    return recipe


def weights_in(file: Path) -> dict[str, Tensor]:
    """All numbers of a model by name, every one of them finite."""
    weights = load_file(file)
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{name} holds numbers that are not finite")
    return weights

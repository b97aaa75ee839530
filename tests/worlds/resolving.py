"""A recipe by its preset and overrides, who said what in it, and why it is refused."""

import pytest

from nextitem.errors import ConfigurationError
from nextitem.experiment.presets import Preset, load_preset, resolve_recipe
from nextitem.experiment.recipe import Recipe


def resolved(preset: str | Preset, *overrides: str) -> Recipe:
    return resolve_recipe(load_preset(preset) if isinstance(preset, str) else preset, overrides).value


def said(preset: str, *overrides: str) -> dict[str, str]:
    """Everything whose source is not a default."""
    sources = resolve_recipe(load_preset(preset), overrides).sources
    return {key: label for key, label in sources.items() if label != "default"}


def refused(preset: str, *overrides: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        resolved(preset, *overrides)
    return str(caught.value)

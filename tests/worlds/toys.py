"""A small configuration with every kind of field, and what resolving it gives: for tests of overrides."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from nextitem.errors import ConfigurationError
from nextitem.settings.configuration import Configuration
from nextitem.settings.overrides import resolve


class CrossEntropy(Configuration):
    name: Literal["cross_entropy"] = "cross_entropy"
    temperature: Annotated[float, Field(gt=0)] = 1.0


class Gbce(Configuration):
    name: Literal["gbce"] = "gbce"
    t: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Calibration: 0 is plain BCE, 1 unbiased."""
    count: Annotated[int, Field(ge=1)] = 256


class Uniform(Configuration):
    name: Literal["uniform"] = "uniform"
    count: int = 1


class Popularity(Configuration):
    name: Literal["popularity"] = "popularity"
    exponent: float


class Adam(Configuration):
    name: Literal["adam"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)


class Training(Configuration):
    epochs: Annotated[int, Field(ge=1)] = 10
    """Passes over the training windows."""
    learning_rate: float = 1e-3
    mixed: bool = False
    optimiser: Adam = Adam()


Negatives = Annotated[Uniform | Popularity, Field(discriminator="name")]


class Toy(Configuration):
    title: str = "toy"
    note: str | None = None
    folder: Path = Path("runs")
    device: int | str = "cpu"
    mode: Literal["fast", "slow"] = "fast"
    clip: Annotated[float, Field(gt=0)] | None = None
    cap: Annotated[float, Field(allow_inf_nan=True)] = 1.0
    metrics: tuple[str, ...] = ("ndcg@10",)
    limits: dict[str, float] = Field(default_factory=dict)
    source: Literal["synthetic"] | Uniform = "synthetic"
    loss: Annotated[CrossEntropy | Gbce, Field(discriminator="name")] = CrossEntropy()
    negatives: Negatives | None = None
    training: Training = Training()

    @model_validator(mode="after")
    def _agrees(self) -> "Toy":
        if self.loss.name == "cross_entropy" and self.negatives is not None:
            raise ValueError("cross_entropy takes no negatives; drop them or choose gbce")
        return self


QUOTE_AND_SLASH = '"\\'
GBCE = {"loss": {"name": "gbce", "t": 0.5}}


def toy(*overrides: str, layers: Sequence[tuple[str, Mapping[str, object]]] = ()) -> Toy:
    return resolve(Toy, layers, overrides).value


def said(*overrides: str, layers: Sequence[tuple[str, Mapping[str, object]]] = ()) -> dict[str, str]:
    """Everything whose source is not a default."""
    sources = resolve(Toy, layers, overrides).sources
    return {key: label for key, label in sources.items() if label != "default"}


def complaint(*overrides: str, layers: Sequence[tuple[str, Mapping[str, object]]] = ()) -> str:
    with pytest.raises(ConfigurationError) as caught:
        resolve(Toy, layers, overrides)
    return str(caught.value)

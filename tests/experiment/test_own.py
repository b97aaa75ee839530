"""Encoders from elsewhere: registered they are a choice like any other, and unregistered nothing of theirs is run."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

import nextitem
from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment import own
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.own import known_encoders, register_encoder
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.experiment.train import train
from nextitem.model.encoders import SASRec
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items import Separate
from nextitem.serving.recommender import Recommender
from nextitem.training.session import Session
from worlds.command_line import typed
from worlds.small_runs import chains, log_of, sha256, write_csv


class Scaled(Encoder):
    """Each item by itself, through one layer."""

    name: Literal["scaled"] = "scaled"
    is_causal: ClassVar[bool] = True
    default_items = Separate()
    scale: float = 1.0
    """Factor of the states."""

    def build(self, number_of_users: int = 0) -> nn.Module:
        return ScaledModule(self.dim, self.scale)


class ScaledModule(nn.Module):
    def __init__(self, dim: int, scale: float) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(dim, dim), scale

    def forward(self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Any = None, read_T: Any = None) -> Tensor:
        states: Tensor = self.layer(embeddings_BLd) * self.scale
        return states if read_T is None else states.flatten(0, 1)[read_T]


@pytest.fixture(autouse=True)
def _shelf() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    before = known_encoders()
    own.register_installed.cache_clear()
    yield
    own._offer(before)
    own.register_installed.cache_clear()


@pytest.fixture
def events(tmp_path: Path) -> str:
    return str(write_csv(log_of(chains()), tmp_path / "events.csv"))


SETTINGS = ("encoder=scaled", "encoder.dim=8", "encoder.scale=2.0", "objective.maximum_length=8", "training.epochs=2")


def test_it_is_a_choice_in_python_in_recipes_and_of_overrides() -> None:
    assert register_encoder(Scaled) is Scaled
    recipe = Recipe(model=SequenceRecipe(encoder=Scaled(dim=8)))
    assert recipe.sequence.items == Separate()  # those that go with it
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    found = resolve_recipe(load_preset("sasrec-ce"), SETTINGS).value.sequence
    assert (found.encoder, found.items) == (Scaled(dim=8, scale=2.0), Separate())
    with pytest.raises(ConfigurationError, match=r"encoder\.scal \(command line\): no such key; .*scale"):
        resolve_recipe(load_preset("sasrec-ce"), ["encoder=scaled", "encoder.scal=2"])
    with pytest.raises(ConfigurationError, match=r"no such choice; did you mean 'scaled'"):
        resolve_recipe(load_preset("sasrec-ce"), ["encoder=scald"])


def test_it_is_trained_stored_read_and_asked(events: str, tmp_path: Path) -> None:
    register_encoder(Scaled)
    recipe = resolve_recipe(load_preset("sasrec-ce"), [*SETTINGS, f"data={events}"]).value
    run = train(recipe, Session(0), tmp_path / "runs")
    again = read_run(run.folder)
    assert again.recipe.sequence.encoder == Scaled(dim=8, scale=2.0)
    assert "encoder.layer.weight" in again.weights
    assert sha256(again.weights) == sha256(run.weights)
    assert len(Recommender.load(run.folder).recommend(users=["u00"], k=3)[0]) == 3


def test_a_run_of_an_encoder_that_nobody_registered_says_what_to_do(
    events: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = known_encoders()
    register_encoder(Scaled)
    recipe = resolve_recipe(load_preset("sasrec-ce"), [*SETTINGS, f"data={events}"]).value
    folder = train(recipe, Session(0), tmp_path / "runs").folder
    own._offer(before)
    words = r"the encoder 'scaled' is not known here; .*has to be registered before: nextitem\.register_encoder"
    with pytest.raises(ArtefactError, match=words):
        read_run(folder)
    assert typed(monkeypatch, "recommend", str(folder), "--users", "all") == 4
    assert "register_encoder" in capfd.readouterr().err


def test_in_python_an_encoder_that_nobody_registered_is_refused_in_our_words() -> None:
    with pytest.raises(
        ConfigurationError, match=r"encoder = .*is of no known choice; known: sasrec, (.|\n)*register_encoder"
    ) as e:
        SequenceRecipe(encoder=Scaled())
    assert "tag" not in str(e.value)


def test_a_class_may_be_registered_anew_and_takes_its_own_place() -> None:
    register_encoder(Scaled)
    newer = type("Scaled", (Scaled,), {"__module__": Scaled.__module__, "__qualname__": Scaled.__qualname__})
    register_encoder(newer)
    assert known_encoders()["scaled"] is newer
    assert type(SequenceRecipe(encoder=newer()).encoder) is newer


def build(self: Encoder, number_of_users: int = 0) -> nn.Module:
    return nn.Identity()


def declared(names: Any = Literal["other"], **facts: Any) -> Any:
    """A class with these facts; of an annotation alone a setting without a default."""
    annotations = {"name": names, "is_causal": ClassVar[bool], **facts.pop("__annotations__", {})}
    body = {"name": "other", "is_causal": True, "build": build, **facts}
    given = {key: value for key, value in body.items() if value is not None}
    return type("Other", (Encoder,), {"__annotations__": annotations, "__module__": __name__, **given})


@pytest.mark.parametrize(
    ("encoder", "words"),
    [
        (nn.Linear, "Linear.* is no encoder; give a class that inherits from nextitem.Encoder"),
        (SASRec(), r"is no encoder; give a class"),
        (None, "None is no encoder"),
        (declared(str), r"cannot be registered as an encoder without `name: Literal\["),
        (declared(Literal["other", "another"]), r"without `name: Literal\["),
        (declared(is_causal=None), "without `is_causal: ClassVar"),
        (declared(build=None), "without `build`, which gives the module"),
        (declared(__annotations__={"width": int}), "without a default for width"),
        (declared(Literal["sasrec"], name="sasrec"), r"there is an encoder 'sasrec' already, .*\.SASRec"),
    ],
    ids=["module", "settings", "none", "text", "two", "causal", "abstract", "required", "taken"],
)  # fmt: skip
def test_what_cannot_be_registered_says_why(encoder: Any, words: str) -> None:
    before = known_encoders()
    with pytest.raises(ConfigurationError, match=words):
        register_encoder(encoder)
    assert known_encoders() == before


def test_an_installed_package_registers_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("scaled", f"{__name__}:Scaled", own.GROUP)]
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    monkeypatch.setattr(own, "entry_points", lambda group: points if group == own.GROUP else [])
    assert resolve_recipe(load_preset("sasrec-ce"), SETTINGS).value.sequence.encoder == Scaled(dim=8, scale=2.0)


def test_an_entry_point_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("lost", "no_such_module:Lost", own.GROUP)]
    monkeypatch.setattr(own, "entry_points", lambda group: points)
    with pytest.raises(
        ConfigurationError, match="the encoder lost of the entry point no_such_module:Lost cannot be loaded: Mod"
    ):
        resolve_recipe(load_preset("sasrec-ce"))


def test_both_names_are_public() -> None:
    assert (nextitem.register_encoder, nextitem.Encoder) == (register_encoder, Encoder)


def test_its_draws_are_those_of_the_seed() -> None:
    register_encoder(Scaled)
    parts = SequenceRecipe(encoder=Scaled(dim=8))
    one, again, other = (parts.build(5, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert sha256(one) != sha256(other)


def test_what_is_no_configuration_is_refused_in_our_words() -> None:
    class Nothing:
        pass

    ones: list[Any] = [Nothing(), {"dim": 8}]
    for given in ones:
        with pytest.raises(ConfigurationError, match=r"encoder.* should be a choice of this package, or a table with"):
            SequenceRecipe(encoder=given)

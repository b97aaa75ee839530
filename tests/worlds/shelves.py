"""Every configuration on the shelves, in one place: contract tests run over these, so a new tenant is tested at once.

A shelf's union is opened; each of its classes is taken with small sizes, once with its defaults and once more for
every other value of each of its choices (booleans and Literals), and once for each of OPTIONS. `precision` is no such
choice: what is rounded cannot hold the contract to the last digits and has tests of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from pydantic.fields import FieldInfo
from torch import Tensor, nn

from nextitem.compute.randomness import Purpose, seeded_globally
from nextitem.data.sequences import Sequences
from nextitem.model.assemble import assemble
from nextitem.model.batches import Batch
from nextitem.model.encoders import AnyEncoder
from nextitem.model.items import AnyItems
from nextitem.model.losses import AnyLoss
from nextitem.model.model import SequenceModel
from nextitem.model.negatives import AnyNegatives
from nextitem.model.objectives import AnyObjective
from nextitem.settings.annotations import members
from nextitem.settings.configuration import Configuration

SMALL: Mapping[str, object] = {
    "dim": 8,
    "heads": 2,
    "inner": 16,
    "positions": 16,
    "maximum_length": 12,
    "layers": (8, 5, 3),
    "state_components": 2,
    "item_components": 3,
    "component_dim": 4,
}
USERS = 1000  # that encoders with user vectors know

WITHOUT = tuple({"without": (part,)} for part in ("positions", "feed_forward", "norms", "residuals"))
OPTIONS: Mapping[
    str, tuple[Mapping[str, object], ...]
] = {  # numbers that are off by default, together where they need it
    "next_item": (
        {"stride": 5},
        {"stride": 5, "targets": "new"},
        {"label_masking": 0.3},
        {"cloze_weight": 0.5},
    ),
    "masked_item": (
        {"stride": 5},
        {"copies": 2, "last_copies": 1},
        {"masks": "exact_share", "mask_probability": 0.6, "most_masks": 3},
        {"last_weight": 3.0},
    ),
    "sasrec": WITHOUT,
    "tied": ({"cosine": "learnt", "popularity": "fixed", "bias": True}, {"initial_deviation": 0.1}),
    "separate": ({"cosine": "learnt", "popularity": "learnt", "bias": True},),
    "bert4rec": ({"attention_dropout": 0.3}, *WITHOUT),
}


def variations(shelf: Any) -> dict[str, Any]:
    """Every class of a shelf's union with small sizes, and one more for every choice that is not the default."""
    return {name: configuration for model in members(shelf) for name, configuration in _variations_of(model)}


def _variations_of(model: type[Configuration]) -> Iterator[tuple[str, Configuration]]:
    small = {key: value for key, value in SMALL.items() if key in model.model_fields}
    default = model(**small)
    name = default.model_dump()["name"]
    yield name, default
    for key, field in model.model_fields.items():
        for value in _alternatives(field):
            if value != getattr(default, key) and key != "precision":
                yield f"{name}-{key}={value}", model(**{**small, key: value})
    for options in OPTIONS.get(name, ()):
        yield f"{name}-{'-'.join(f'{key}={value}' for key, value in options.items())}", model(**{**small, **options})


def _alternatives(field: FieldInfo) -> tuple[object, ...]:
    if field.annotation is bool:
        return (False, True)
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


# Who is told when targets happen cannot be asked without, and has tests of its own (model/test_target_times.py).
ENCODERS = {name: encoder for name, encoder in variations(AnyEncoder).items() if not encoder.reads_target_times}
OBJECTIVES = variations(AnyObjective)
LOSSES = variations(AnyLoss)
NEGATIVES = variations(AnyNegatives)
ITEM_TABLES = variations(AnyItems)


def fits(encoder: Any, objective: Any) -> bool:
    """Whether the encoder can be asked this.

    One that knows users alone is shown nothing, and no other is. One that looks ahead would find the next item in its
    input; one that sees a single item would not see a hidden one.
    """
    if encoder.reads_items != objective.shows_items or (objective.needs_mask and encoder.sees_one_item):
        return False
    return encoder.is_causal or not objective.needs_causal


def each(argument: str, shelf: Mapping[str, object]) -> pytest.MarkDecorator:
    """Run a test with every entry of `shelf` as its `argument`."""
    return pytest.mark.parametrize(argument, shelf.values(), ids=shelf)


each_encoder = each("encoder", ENCODERS)
each_objective = each("objective", OBJECTIVES)
each_loss = each("loss", LOSSES)
each_item_table = each("items", ITEM_TABLES)


def each_pair_of(encoders: Mapping[str, Any]) -> pytest.MarkDecorator:
    """Run a test with every one of these encoders and every objective that fits it."""
    return pytest.mark.parametrize(
        ("encoder", "objective"),
        [
            pytest.param(encoder, objective, id=f"{encoder_name}+{objective_name}")
            for encoder_name, encoder in encoders.items()
            for objective_name, objective in OBJECTIVES.items()
            # One of the two with its defaults: that both are varied at once adds minutes and nothing else.
            if fits(encoder, objective) and (encoder_name == encoder.name or objective_name == objective.name)
        ],
    )


each_fitting_pair = each_pair_of(ENCODERS)


def defaults(shelf: Mapping[str, Any]) -> dict[str, Any]:
    """One entry for each class on the shelf: the first, whose choices are the defaults."""
    firsts: dict[str, Any] = {}
    for configuration in shelf.values():
        firsts.setdefault(configuration.name, configuration)
    return firsts


def with_settings(configuration: Any, **settings: object) -> Any:
    """The configuration with these settings, where it has them."""
    known = {key: value for key, value in settings.items() if key in type(configuration).model_fields}
    return type(configuration)(**{**configuration.model_dump(), **known})


def having(shelf: Mapping[str, Any], field: str) -> dict[str, Any]:
    """The entries of `shelf` that have this setting."""
    return {name: configuration for name, configuration in shelf.items() if hasattr(configuration, field)}


def items_of(encoder: Any) -> Any:
    """The items that go with an encoder, in small sizes."""
    return with_settings(encoder.default_items, **SMALL)


def build_model(encoder: Any, objective: Any, number_of_items: int, seed: int = 0, items: Any = None) -> SequenceModel:
    """An untrained model in float64, with the items that go with the encoder; equal seeds give equal weights."""
    with seeded_globally(seed, Purpose.WEIGHTS):
        return assemble(items or items_of(encoder), encoder, objective, number_of_items, USERS).double()


def lively_encoder(encoder: Any, seed: int = 0) -> nn.Module:
    """An encoder with weights large enough for every one of them to be felt, in evaluation mode.

    One that reads times finds an event an hour where a test does not say when they were.
    """
    with seeded_globally(seed, Purpose.WEIGHTS):
        module = encoder.build(USERS).double().eval()
        with torch.no_grad():
            for weight in module.parameters():
                weight.add_(0.3 * torch.randn_like(weight))
    if encoder.reads_times:
        module.register_forward_pre_hook(_every_hour, with_kwargs=True)
    return module


def _every_hour(_: nn.Module, given: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    embeddings_BLd, lengths_B = given[:2]
    columns_BL = torch.minimum(torch.arange(embeddings_BLd.shape[1]), lengths_B[:, None] - 1)
    return given, {"times_BL": 3600 * columns_BL, **named}


def timed(histories: Sequences, apart: int = 3600) -> Sequences:
    """The same histories with an event an hour, for models of any encoder; those that read no times leave them out."""
    times = torch.arange(len(histories.events)) * apart
    return replace(histories, events=replace(histories.events, times=times))


def states_everywhere(model: SequenceModel, batch: Batch) -> Tensor:
    """The encoder's states at all places of a padded batch, shape (B, L, e)."""
    times = {} if batch.times_BL is None else {"times_BL": batch.times_BL}
    states: Tensor = model.encoder(model.items.embed(batch.inputs_BL), batch.lengths_B, batch.users_B, **times)
    return states


def width(encoder: Any) -> int:
    """Numbers of a state."""
    return int(encoder.output_width)


def embeddings(rows: int, length: int, encoder: Any, seed: int = 0) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(rows, length, encoder.dim, generator=draws, dtype=torch.float64)

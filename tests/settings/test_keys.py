"""Short keys: what users write, and what messages say, where the whole key has a table in front."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import pytest
from pydantic import Field, model_validator

from nextitem.errors import ConfigurationError
from nextitem.settings.configuration import Configuration
from nextitem.settings.keys import settings_of, short_key, whole_key
from nextitem.settings.overrides import resolve


class Engine(Configuration):
    """Something with settings of its own."""

    power: int = Field(100, ge=1)
    """In kilowatts."""


class Car(Configuration):
    name: Literal["car"] = "car"
    engine: Engine = Engine()
    seats: int = 4

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if self.engine.power < self.seats:
            raise ValueError(f"engine.power={self.engine.power} does not move seats={self.seats}; raise engine.power")
        return self


class Cart(Configuration):
    name: Literal["cart"] = "cart"
    horses: int = 1


class Journey(Configuration):
    short_keys: ClassVar[Mapping[str, str]] = {"engine": "vehicle"}
    also_called: ClassVar[Mapping[str, str]] = {"motor": "vehicle"}

    name: str = "unnamed"
    vehicle: Annotated[Car | Cart, Field(discriminator="name")] = Car()


def journey(*overrides: str, **layer: object) -> Journey:
    return resolve(Journey, [("file", layer)], overrides).value


def refused(*overrides: str, **layer: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        journey(*overrides, **layer)
    return str(caught.value)


def test_a_key_is_shortened_where_its_second_word_says_the_first() -> None:
    keys = ("vehicle.engine.power", "vehicle.seats", "vehicle.name", "vehicle", "name", "engine.power")
    assert [short_key(Journey, key) for key in keys] == [
        "engine.power", "vehicle.seats", "vehicle.name", "vehicle", "name", "engine.power",
    ]  # fmt: skip
    assert whole_key(Journey, ("engine", "power")) == ("vehicle", "engine", "power")
    assert whole_key(Journey, ("vehicle", "engine")) == ("vehicle", "engine")
    assert whole_key(Journey, ("name",)) == ("name",)


def test_short_and_whole_keys_say_the_same_everywhere() -> None:
    wanted = Journey(vehicle=Car(engine=Engine(power=7)))
    assert journey("engine.power=7") == journey("vehicle.engine.power=7") == wanted
    assert journey(engine={"power": 7}) == journey(vehicle={"engine": {"power": 7}}) == wanted
    assert journey("engine.power=7", engine={"power": 9}, vehicle={"seats": 4}) == wanted


def test_settings_and_their_sources_have_the_short_keys() -> None:
    found = resolve(Journey, [("file", {"engine": {"power": 9}})], ["vehicle.seats=2"])
    assert settings_of(found.value) == {
        "name": "unnamed", "vehicle.name": "car", "engine.power": 9, "vehicle.seats": 2,
    }  # fmt: skip
    assert found.sources == {
        "name": "default", "vehicle.name": "default", "engine.power": "file", "vehicle.seats": "command line",
    }  # fmt: skip


def test_two_values_of_one_setting_are_refused_however_they_are_written() -> None:
    assert refused("engine.power=7", "vehicle.engine.power=8").endswith("is given two values, 7 and 8: keep one")
    both = {"engine": {"power": 7}, "vehicle": {"engine": {"power": 8}}}
    assert "is given two values, 7 and 8" in refused(**both)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "engine.power=0",
            "engine.power = 0 (command line) should be greater than or equal to 1\n    engine.power: In",
        ),
        ("vehicle.engine.powr=1", "engine.powr (command line): no such key; did you mean 'power'?"),
        ("engin.power=1", "engin (command line): no such key; did you mean 'engine'?"),
        ("power=1", "power (command line): no such key; perhaps you mean engine.power; "),
        ("seats=1", "seats (command line): no such key; perhaps you mean vehicle.seats; "),
        ("engine=3", "engine = 3 (command line) should be a table; its keys: power"),
        ("engine.power=3", "engine.power=3 does not move seats=4; raise engine.power"),
    ],
)
def test_messages_say_the_short_keys(override: str, message: str) -> None:
    assert refused(override).startswith(message)


def test_what_the_chosen_table_does_not_have_is_refused_with_the_choice_that_has_it() -> None:
    assert journey("vehicle=cart", engine={"power": 9}) == Journey(vehicle=Cart())  # which a file said of another
    message = refused("vehicle=cart", "engine.power=9")
    assert message.startswith("engine (command line): no such key; it belongs to vehicle=car, not to vehicle=cart; ")


def test_what_others_call_by_another_word_is_refused_by_ours() -> None:
    assert refused("motor.power=9").startswith("motor (command line): no such key; it is called vehicle here; known: ")


def test_other_tables_are_not_thought_of_where_a_near_key_is_at_hand() -> None:
    assert refused("vehicle.nam=x").startswith("vehicle.nam (command line): no such key; did you mean 'name'?")


def test_several_problems_are_told_together() -> None:
    message = refused("engine.power=0", "nam=x")
    assert message.startswith("2 settings cannot be used:\n- ")
    assert "engine.power = 0" in message
    assert "nam (command line): no such key; " in message

"""Recipes: what is built in, who wins when several say different things, and what does not fit together."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, ValidationError

from nextitem.baselines import CoOccurrence
from nextitem.configuration import Configuration
from nextitem.encoders import BERT4Rec, SASRec
from nextitem.errors import ConfigurationError
from nextitem.losses import BinaryCrossEntropy, CrossEntropy, SampledCrossEntropy
from nextitem.negatives import Uniform
from nextitem.objectives import MaskedItem, NextItem
from nextitem.reading import Columns
from nextitem.recipe import Preset, Recipe, load_preset, preset_names, resolve_recipe
from nextitem.training import Training
from small_runs import RECIPES

# Hit rate and NDCG at 10 and the best epoch, as Klenitskiy & Vasilev (RecSys 2023) publish them.
PUBLISHED = {
    "bert4rec": {"ml-1m": (0.2843, 0.1537, 197), "beauty": (0.0338, 0.0187, 87)},
    "sasrec-bce": {"ml-1m": (0.2500, 0.1341, 53), "beauty": (0.0246, 0.0126, 26)},
    "sasrec-ce": {"ml-1m": (0.3152, 0.1821, 63), "beauty": (0.0533, 0.0327, 6)},
    "sasrec-3000": {"ml-1m": (0.3159, 0.1857, 85), "beauty": (0.0490, 0.0295, 8)},
}
each_preset = pytest.mark.parametrize("name", preset_names())
each_published = pytest.mark.parametrize("name", PUBLISHED)


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


@each_preset
def test_every_built_in_recipe_can_be_used_as_it_is(name: str) -> None:
    recipe = resolved(name)
    assert recipe.name == name
    assert recipe.data == "synthetic"
    if recipe.baseline is None:
        recipe.encoder.build()
        recipe.loss.build()


@each_preset
def test_every_built_in_recipe_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    preset = load_preset(name)
    assert preset.summary
    assert preset.source


@each_preset
def test_every_profile_and_published_value_is_for_a_known_dataset(name: str) -> None:
    preset = load_preset(name)
    assert {*preset.profiles, *preset.published} <= {"synthetic", "ml-1m", "ml-20m", "beauty", "steam", "yelp"}
    for data in preset.profiles:
        assert f"profile {data} of {name}" in said(name, f"data={data}").values()


@each_preset
def test_every_recipe_comes_back_from_json(name: str) -> None:
    recipe = resolved(name, "data=ml-1m")
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert Recipe.model_validate_json(json.dumps(recipe.model_dump(mode="json"))) == recipe


@each_published
@pytest.mark.parametrize("data", ["ml-1m", "beauty"])
def test_published_values_are_those_of_the_paper(name: str, data: str) -> None:
    hit_rate, ndcg, epoch = PUBLISHED[name][data]
    assert load_preset(name).published[data] == {"hit_rate@10": hit_rate, "ndcg@10": ndcg, "best_epoch": epoch}


@each_published
@pytest.mark.parametrize(("data", "length"), [("ml-1m", 200), ("beauty", 50), ("synthetic", 50)])
def test_windows_are_as_long_as_in_the_paper(name: str, data: str, length: int) -> None:
    assert resolved(name, f"data={data}").objective.maximum_length == length


@each_published
def test_training_is_that_of_the_paper(name: str) -> None:
    """Adam with its usual decays and step size 1e-3, batches of 128, nothing else."""
    epochs, patience = (200, 20) if name == "bert4rec" else (100, 10)
    assert resolved(name, "data=beauty").training == Training(
        epochs=epochs,
        patience=patience,
        monitor="ndcg@10",
        batch_size=128,
        learning_rate=1e-3,
        beta2=0.999,
        weight_decay=0.0,
        gradient_clip=None,
        schedule="constant",
        warmup_steps=0,
        validation_users=10_000,
    )


@pytest.mark.parametrize("name", ["sasrec-bce", "sasrec-ce", "sasrec-3000"])
def test_sasrec_is_that_of_the_paper(name: str) -> None:
    assert resolved(name, "data=ml-1m").encoder == SASRec(dim=64, blocks=2, heads=1, dropout=0.1, positions=200)


def test_bert4rec_is_that_of_the_paper() -> None:
    recipe = resolved("bert4rec", "data=beauty")
    assert recipe.encoder == BERT4Rec(dim=64, layers=2, heads=2, inner=256, dropout=0.1, positions=200)
    assert recipe.objective == MaskedItem(maximum_length=50, mask_probability=0.2, masks="independent")
    assert (recipe.loss, recipe.negatives) == (CrossEntropy(), None)


def test_the_models_of_the_claim_differ_in_their_loss_alone() -> None:
    shelves = {
        name: (recipe.loss, recipe.negatives)
        for name, recipe in (
            (name, resolved(name, "data=beauty")) for name in ("sasrec-bce", "sasrec-ce", "sasrec-3000")
        )
    }
    assert shelves == {
        "sasrec-bce": (BinaryCrossEntropy(), Uniform(count=1, sharing="position", replacement=True, exclude="window")),
        "sasrec-ce": (CrossEntropy(), None),
        "sasrec-3000": (
            SampledCrossEntropy(),
            Uniform(count=3000, sharing="sequence", replacement=False, exclude="window"),
        ),
    }
    plain = {**dict(resolved("sasrec-ce")), "name": "", "loss": None, "negatives": None}
    for name in ("sasrec-bce", "sasrec-3000"):
        other = {**dict(resolved(name)), "name": "", "loss": None, "negatives": None}
        assert other == plain


# Precedence.


def test_the_command_line_wins_over_profile_recipe_and_default(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        """
        data = "ml-1m"
        encoder = { name = "sasrec", dim = 16, heads = 2, blocks = 3 }
        [profiles.ml-1m]
        encoder = { dim = 32, heads = 4 }
        """
    )
    found = resolve_recipe(load_preset(str(file)), ["encoder.dim=64"])
    encoder = found.value.encoder
    assert isinstance(encoder, SASRec)
    assert (encoder.dim, encoder.heads, encoder.blocks, encoder.dropout) == (64, 4, 3, 0.1)
    assert {key: found.sources[f"encoder.{key}"] for key in ("dim", "heads", "blocks", "dropout")} == {
        "dim": "command line",
        "heads": "profile ml-1m of mine",
        "blocks": "recipe mine",
        "dropout": "default",
    }
    assert found.value.name == "mine"


def test_the_profile_is_that_of_the_data_on_the_command_line() -> None:
    assert said("sasrec-ce", "data=ml-1m")["objective.maximum_length"] == "profile ml-1m of sasrec-ce"
    assert said("sasrec-ce", 'data="ml-1m"')["objective.maximum_length"] == "profile ml-1m of sasrec-ce"
    assert said("sasrec-ce", "data=beauty")["objective.maximum_length"] == "recipe sasrec-ce"
    assert resolved("sasrec-ce", "data=ml-1m", "objective.maximum_length=100").objective.maximum_length == 100


def test_the_order_of_overrides_does_not_matter() -> None:
    overrides = ["data=ml-1m", "encoder.dim=32", "training.epochs=3"]
    assert resolved("sasrec-ce", *overrides) == resolved("sasrec-ce", *reversed(overrides))


def test_every_setting_has_a_source() -> None:
    found = resolve_recipe(load_preset("sasrec-bce"), ["training.epochs=3"])
    sources = found.sources
    assert set(sources.values()) == {"default", "recipe sasrec-bce", "command line"}
    assert sources["training.epochs"] == "command line"
    assert sources["training.patience"] == sources["loss.name"] == sources["name"] == "recipe sasrec-bce"
    assert sources["data"] == sources["training.batch_size"] == "default"
    for key in sources:
        value: Any = found.value.model_dump(mode="json")
        for word in key.split("."):
            value = value[word]


def test_columns_are_a_layer_with_a_source_of_its_own() -> None:
    columns = Columns(user="007", item='"sku"', time="none")  # each would be something else as an override
    found = resolve_recipe(load_preset("popularity"), ["data=events.csv"], columns)
    assert found.value.columns == columns
    assert {found.sources[f"columns.{role}"] for role in ("user", "item", "time")} == {"--columns"}
    partly = resolve_recipe(load_preset("popularity"), ["data=events.csv"], Columns(item="sku"))
    assert [partly.sources[f"columns.{role}"] for role in ("user", "item")] == ["default", "--columns"]


def test_columns_are_named_in_one_way() -> None:
    with pytest.raises(ConfigurationError, match=r"named by --columns and by columns\.user=…: give one of the two"):
        resolve_recipe(load_preset("popularity"), ["columns.user=who"], Columns(item="sku"))


# Swapping shelves.


def test_another_encoder_starts_from_its_own_defaults() -> None:
    recipe = resolved("bert4rec", "encoder=sasrec")
    assert recipe.encoder == SASRec()
    assert recipe.objective.name == "masked_item"


def test_a_loss_over_the_whole_catalogue_drops_the_negatives_of_a_recipe() -> None:
    recipe = resolved("sasrec-bce", "loss=cross_entropy")
    assert (recipe.loss, recipe.negatives) == (CrossEntropy(), None)
    assert said("sasrec-bce", "loss=cross_entropy")["loss.name"] == "command line"
    assert "negatives" not in said("sasrec-bce", "loss=cross_entropy")
    on_synthetic = resolved("sasrec-3000", "loss=cross_entropy")  # where a profile speaks of negatives as well
    assert on_synthetic.negatives is None


def test_negatives_that_are_asked_for_are_not_dropped_in_silence() -> None:
    assert "loss cross_entropy uses the whole catalogue and no negatives; add negatives=none" in refused(
        "sasrec-bce", "loss=cross_entropy", "negatives.count=5"
    )
    assert "add negatives=none" in refused("sasrec-ce", "negatives=uniform")
    assert resolved("sasrec-bce", "loss=cross_entropy", "negatives=none").negatives is None


def test_a_recipe_file_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    both = 'loss = { name = "cross_entropy" }\nnegatives = { name = "uniform", count = 5 }\n'
    (tmp_path / "mine.toml").write_text(both)
    assert "loss cross_entropy uses the whole catalogue and no negatives" in refused(str(tmp_path / "mine.toml"))
    sampled = both.replace("cross_entropy", "sampled_cross_entropy")
    (tmp_path / "mine.toml").write_text(sampled)
    assert resolved(str(tmp_path / "mine.toml"), "loss=cross_entropy").negatives is None
    (tmp_path / "mine.toml").write_text(f"{sampled}[profiles.beauty]\nloss = 'cross_entropy'\n")
    assert "add negatives=none" in refused(str(tmp_path / "mine.toml"), "data=beauty")
    (tmp_path / "mine.toml").write_text(f"{sampled}[profiles.beauty]\nloss = 'cross_entropy'\nnegatives = 'none'\n")
    assert resolved(str(tmp_path / "mine.toml"), "data=beauty").negatives is None


def test_another_sampled_loss_keeps_the_negatives() -> None:
    recipe = resolved("sasrec-bce", "loss=sampled_cross_entropy", "negatives.count=20")
    assert recipe.negatives == Uniform(count=20, sharing="position", replacement=True, exclude="window")


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "sampled_cross_entropy"])
def test_a_sampled_loss_without_negatives_is_refused_with_the_remedy(loss: str) -> None:
    assert f"loss {loss} needs negatives; add negatives=uniform" in refused("sasrec-ce", f"loss={loss}")
    assert resolved("sasrec-ce", f"loss={loss}", "negatives=uniform").negatives == Uniform()
    assert "needs negatives" in refused("sasrec-bce", "negatives=none")


def test_an_encoder_that_looks_ahead_is_not_asked_for_the_next_item() -> None:
    message = refused("sasrec-ce", "encoder=bert4rec")
    assert (
        "objective next_item needs an encoder that does not look ahead, and bert4rec sees the whole window" in message
    )
    assert "use objective=masked_item or encoder=sasrec" in message
    assert resolved("sasrec-ce", "encoder=bert4rec", "objective=masked_item").encoder == BERT4Rec()


def test_windows_fit_into_the_position_table() -> None:
    assert (
        "objective.maximum_length=201 exceeds the 200 rows of the position table; "
        "raise encoder.positions or shorten the windows"
    ) in refused("sasrec-ce", "objective.maximum_length=201")
    assert resolved("sasrec-ce", "objective.maximum_length=201", "encoder.positions=201").encoder.positions == 201


class Recurrent(Configuration):
    """An encoder without a position table."""

    name: Literal["recurrent"] = "recurrent"
    is_causal: ClassVar[bool] = True


class Wider(Recipe):
    encoder: Annotated[SASRec | Recurrent, Field(discriminator="name")] = SASRec()  # type: ignore[assignment]


def test_an_encoder_without_a_position_table_takes_windows_of_any_length() -> None:
    assert Wider(encoder=Recurrent(), objective=NextItem(maximum_length=5000)).objective.maximum_length == 5000
    with pytest.raises(ValidationError, match="exceeds the 200 rows"):
        Wider(objective=NextItem(maximum_length=5000))


def test_a_baseline_asks_nothing_of_the_other_shelves() -> None:
    recipe = resolved("co-occurrence", "baseline.window=3", "objective.maximum_length=5000", "negatives=uniform")
    assert recipe.baseline == CoOccurrence(window=3)


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("training.epoch=3", "did you mean 'epochs'?"),
        ("loss=bce", "did you mean 'binary_cross_entropy'?"),
        ("dim=64", "encoder.dim"),
        ("training.epochs=many", "should be a whole number"),
        ("training.learning_rate=0", "greater than 0"),
        ("training.schedule=cosine", "'constant' or 'linear'"),
        ("encoder.heads=5", "should divide dim=64"),
    ],
)
def test_a_mistake_on_the_command_line_is_answered_with_advice(override: str, advice: str) -> None:
    assert advice in refused("sasrec-ce", override)


@pytest.mark.parametrize("name", ["a/b", "../up", "C:\\x", "", "two\nlines", "x" * 101])
def test_a_name_that_is_no_name_of_a_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Recipe(name=name)


@pytest.mark.parametrize("name", ["sasrec-ce", "Mein Modell, Größe 2", "推荐"])
def test_names_are_free_otherwise(name: str) -> None:
    assert Recipe(name=name).name == name


# Where recipes come from.


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("sasrec", "did you mean"),
        ("sasrec_ce", "did you mean 'sasrec-ce'?"),
        ("bert4recc", "did you mean 'bert4rec'?"),
        ("zzz", "known: "),
    ],
)
def test_an_unknown_recipe_is_an_error_with_the_near_and_the_known_ones(name: str, advice: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_preset(name)
    assert f"there is no recipe '{name}'; {advice}" in str(caught.value)
    assert all(known in str(caught.value) for known in preset_names())
    assert str(caught.value).endswith("or a .toml file")


def test_a_recipe_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no recipe file nowhere/mine\.toml; a name without \.toml"):
        load_preset("nowhere/mine.toml")


def test_a_recipe_file_that_is_no_toml_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("encoder = {\n")
    with pytest.raises(ConfigurationError, match=r"mine\.toml:1"):
        load_preset(str(tmp_path / "mine.toml"))


def test_a_recipe_file_can_be_empty_or_name_itself(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("")
    assert resolved(str(tmp_path / "mine.toml")) == Recipe(name="mine")
    (tmp_path / "mine.toml").write_text('name = "better"')
    assert resolved(str(tmp_path / "mine.toml")) == Recipe(name="better")


def test_a_misspelt_key_of_a_recipe_file_is_refused_by_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[training]\nepoch = 3\n")
    message = refused(str(tmp_path / "mine.toml"))
    assert "training.epoch (recipe mine): no such key; did you mean 'epochs'?" in message


@pytest.mark.parametrize(
    "content",
    ['about = "mine"', "profiles = 3", "published = [1]", '[profiles]\nml-1m = "long"', "published.ml-1m = 1"],
)
def test_what_is_said_about_a_recipe_stands_in_tables(content: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(content)
    with pytest.raises(ConfigurationError, match=r"mine.*should be a table"):
        resolved(load_preset(str(tmp_path / "mine.toml")), "data=ml-1m")


def test_a_recipe_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes('name = "Größe"'.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"mine\.toml.*UTF-8"):
        load_preset(str(tmp_path / "mine.toml"))


# In Python.


def test_a_recipe_is_constructed_from_one_choice_of_each_shelf() -> None:
    recipe = Recipe(encoder=SASRec(dim=64), loss=CrossEntropy())
    assert recipe == Recipe()
    assert recipe.objective == NextItem()
    sampled = Recipe(encoder=BERT4Rec(), objective=MaskedItem(), loss=SampledCrossEntropy(), negatives=Uniform(count=9))
    assert sampled.negatives == Uniform(count=9)


@pytest.mark.parametrize(
    ("shelves", "reason"),
    [
        ({"encoder": BERT4Rec()}, "needs an encoder that does not look ahead"),
        ({"loss": BinaryCrossEntropy()}, "needs negatives"),
        ({"negatives": Uniform()}, "uses the whole catalogue"),
        ({"objective": NextItem(maximum_length=300)}, "exceeds the 200 rows"),
        ({"epochs": 3}, "Extra inputs are not permitted"),
        ({"encoder": "sasrec"}, "encoder"),
    ],
)
def test_python_is_told_the_same_as_the_command_line(shelves: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Recipe(**shelves)


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().training.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_made_in_python_come_back_from_json(name: str) -> None:
    assert Recipe.model_validate_json(RECIPES[name].model_dump_json()) == RECIPES[name]


def test_the_json_of_a_recipe_is_complete() -> None:
    """A stored recipe must not change its meaning when a default does."""
    content = Recipe().model_dump(mode="json")
    assert content["encoder"] == {
        "name": "sasrec",
        **{key: value for key, value in dict(SASRec()).items() if key != "name"},
    }
    assert set(content) == set(Recipe.model_fields)
    assert set(content["training"]) == set(Training.model_fields)

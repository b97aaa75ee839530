"""Recipes: who wins when several say different things, and what does not fit together."""

from pathlib import Path
from typing import Any

import pytest

from nextitem.data.reading.columns import Columns
from nextitem.data.splits import Temporal
from nextitem.errors import ConfigurationError
from nextitem.experiment.presets import as_toml, load_preset, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.baselines import CoOccurrence
from nextitem.model.encoders import FPMC, BERT4Rec, Caser, GRU4Rec, SASRec
from nextitem.model.items import Separate, Tied
from nextitem.model.losses import BinaryCrossEntropy, CrossEntropy, SampledCrossEntropy
from nextitem.model.negatives import InBatch, Uniform
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.settings.keys import settings_of
from nextitem.training.training import Training
from worlds.parts import sequence
from worlds.resolving import refused, resolved, said
from worlds.small_runs import RECIPES


@pytest.mark.parametrize("preset", ["bpr-mf", "ncf", "fpmc"])
@pytest.mark.parametrize(
    "split", [("split=users",), ("split=temporal", "split.validation=users")], ids=["users", "temporal"]
)
def test_a_model_with_users_is_not_asked_about_strangers(preset: str, split: tuple[str, ...]) -> None:
    told = refused(preset, *split)
    assert f"{split[0]} asks here about users of whom nothing is learnt, and" in told
    assert "has a vector for each user that is learnt from: choose another split, or a model that goes by" in told


@pytest.mark.parametrize("preset", ["bpr-mf", "ncf"])
def test_a_model_with_users_may_be_split_by_time(preset: str) -> None:
    assert resolved(preset, "split=temporal", "split.cut=2015-03-01", "split.target=all").split == Temporal(
        cut="2015-03-01", target="all"
    )


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("split.cut=1.5", "split: cut = 1.5 is no share between 0 and 1 of the events; a date is written 2015-03-01"),
        ("split.target=next", """split.target = "next" (command line) should be 'first', 'last', 'random', """),
        ("split.share=0.5", "split.share (command line): no such key; did you mean"),
        ("split.test_share=0.5", "it belongs to split=users, not to split=temporal"),
    ],
)
def test_settings_of_a_split_are_refused_with_what_they_may_be(override: str, said: str) -> None:
    assert said in refused("sasrec-ce", "split=temporal", override)


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
    encoder = found.value.sequence.encoder
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
    assert resolved("sasrec-ce", "data=ml-1m", "objective.maximum_length=100").sequence.objective.maximum_length == 100


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
    assert sources.keys() == settings_of(found.value).keys()


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
    assert recipe.sequence.encoder == SASRec()
    assert recipe.sequence.objective.name == "masked_item"


def test_a_loss_over_the_whole_catalogue_drops_the_negatives_of_a_recipe() -> None:
    recipe = resolved("sasrec-bce", "loss=cross_entropy")
    assert (recipe.sequence.loss, recipe.sequence.negatives) == (CrossEntropy(), None)
    assert said("sasrec-bce", "loss=cross_entropy")["loss.name"] == "command line"
    assert "negatives" not in said("sasrec-bce", "loss=cross_entropy")
    on_synthetic = resolved("sasrec-3000", "loss=cross_entropy")  # where a profile speaks of negatives as well
    assert on_synthetic.sequence.negatives is None


def test_negatives_that_are_asked_for_are_not_dropped_in_silence() -> None:
    assert "loss cross_entropy uses the whole catalogue and no negatives; add negatives=none" in refused(
        "sasrec-bce", "loss=cross_entropy", "negatives.count=5"
    )
    assert "add negatives=none" in refused("sasrec-ce", "negatives=uniform")
    assert resolved("sasrec-bce", "loss=cross_entropy", "negatives=none").sequence.negatives is None


def test_a_recipe_file_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    both = 'loss = { name = "cross_entropy" }\nnegatives = { name = "uniform", count = 5 }\n'
    (tmp_path / "mine.toml").write_text(both)
    assert "loss cross_entropy uses the whole catalogue and no negatives" in refused(str(tmp_path / "mine.toml"))
    sampled = both.replace("cross_entropy", "sampled_cross_entropy")
    (tmp_path / "mine.toml").write_text(sampled)
    assert resolved(str(tmp_path / "mine.toml"), "loss=cross_entropy").sequence.negatives is None
    (tmp_path / "mine.toml").write_text(f"{sampled}[profiles.beauty]\nloss = 'cross_entropy'\n")
    assert "add negatives=none" in refused(str(tmp_path / "mine.toml"), "data=beauty")
    (tmp_path / "mine.toml").write_text(f"{sampled}[profiles.beauty]\nloss = 'cross_entropy'\nnegatives = 'none'\n")
    assert resolved(str(tmp_path / "mine.toml"), "data=beauty").sequence.negatives is None


def test_another_sampled_loss_keeps_the_negatives() -> None:
    recipe = resolved("sasrec-bce", "loss=sampled_cross_entropy", "negatives.count=20")
    assert recipe.sequence.negatives == Uniform(count=20, sharing="position", replacement=True, exclude="window")


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "sampled_cross_entropy"])
def test_a_sampled_loss_without_negatives_is_refused_with_the_remedy(loss: str) -> None:
    assert f"loss {loss} needs negatives; add negatives=uniform" in refused("sasrec-ce", f"loss={loss}")
    assert resolved("sasrec-ce", f"loss={loss}", "negatives=uniform").sequence.negatives == Uniform()
    assert "needs negatives" in refused("sasrec-bce", "negatives=none")


def test_a_metric_that_no_validation_has_is_refused_before_any_data_is_read() -> None:
    message = refused("sasrec-ce", "data=nowhere.csv", "training.monitor=ndgc@10")
    assert "training.monitor='ndgc@10' is no validation metric; did you mean 'ndcg@10'" in message


def test_a_window_that_is_never_full_is_refused() -> None:
    message = refused("caser", "objective.maximum_length=3")
    assert "encoder.window=5 reads more places than objective.maximum_length=3 fills" in message
    assert resolved("caser", "objective.maximum_length=3", "encoder.window=3").sequence.objective.maximum_length == 3


@pytest.mark.parametrize("loss", ["bpr_max", "top1_max"])
def test_a_loss_that_weighs_negatives_needs_several(loss: str) -> None:
    message = refused("sasrec-bce", f"loss={loss}")
    assert f"loss {loss} weighs negatives against each other, and one alone (negatives.count=1) has nothing" in message
    assert "raise negatives.count, or use loss=bpr" in message
    assert "nothing to be weighed" in refused("sasrec-ce", f"loss={loss}", "negatives=in_batch", "negatives.count=1")
    for negatives in ("in_batch", "mixed"):
        assert resolved("sasrec-bce", f"loss={loss}", f"negatives={negatives}").sequence.loss.name == loss
    assert resolved("sasrec-bce", f"loss={loss}", "negatives.count=2").sequence.negatives == Uniform(count=2)


@pytest.mark.parametrize("negatives", ["popularity", "in_batch", "mixed"])
def test_a_full_softmax_takes_negatives_of_no_kind(negatives: str) -> None:
    assert "add negatives=none" in refused("sasrec-ce", f"negatives={negatives}")
    assert "did you mean 'log_q'?" in refused("sasrec-3000", "loss.logq=revised")


def test_an_encoder_that_looks_ahead_is_not_asked_for_the_next_item() -> None:
    message = refused("sasrec-ce", "encoder=bert4rec")
    assert (
        "objective next_item needs an encoder that does not look ahead, and bert4rec sees the whole window" in message
    )
    assert "use objective=masked_item or encoder=sasrec" in message
    assert resolved("sasrec-ce", "encoder=bert4rec", "objective=masked_item").sequence.encoder == BERT4Rec()


def test_windows_fit_into_the_position_table() -> None:
    assert (
        "objective.maximum_length=201 exceeds the 200 rows of the position table; "
        "raise encoder.positions or shorten the windows"
    ) in refused("sasrec-ce", "objective.maximum_length=201")
    assert (
        resolved("sasrec-ce", "objective.maximum_length=201", "encoder.positions=201").sequence.encoder.positions == 201
    )


def test_an_encoder_without_a_position_table_takes_windows_of_any_length() -> None:
    assert (
        sequence(encoder=GRU4Rec(), objective=NextItem(maximum_length=5000)).sequence.objective.maximum_length == 5000
    )
    with pytest.raises(ConfigurationError, match="exceeds the 200 rows"):
        sequence(objective=NextItem(maximum_length=5000))


def test_a_baseline_has_settings_of_its_own_and_no_other() -> None:
    assert resolved("co-occurrence", "model.window=3").model == CoOccurrence(window=3)
    assert resolved("sasrec-bce", "model=co_occurrence", "model.window=3").model == CoOccurrence(window=3)
    message = refused("co-occurrence", "encoder.window=3")
    assert "encoder (command line): no such key; it belongs to model=sequence, not to model=co_occurrence" in message


@pytest.mark.parametrize(
    ("recipe", "override", "ours"),
    [
        ("sasrec-ce", "baseline=popularity", "model"),
        ("sasrec-ce", "preparation.repeats=first", "filters"),
        ("gru4rec", "encoder.layers=2", "encoder.blocks"),
        ("bpr-mf", "model.regularization=0.1", "model.l2"),
    ],
)
def test_a_word_of_other_libraries_is_answered_with_ours(recipe: str, override: str, ours: str) -> None:
    assert f"no such key; it is called {ours} here; known: " in refused(recipe, override)
    assert "is called" not in refused("fpmc", "encoder.layers=2")  # which has none


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("training.epoch=3", "did you mean 'epochs'?"),
        ("loss=bce", "did you mean 'binary_cross_entropy' or 'gbce'?"),
        ("dim=64", "encoder.dim"),
        ("training.epochs=many", "should be a whole number"),
        ("training.learning_rate=0", "greater than 0"),
        ("training.schedule=cosin", "'linear', 'cosine' or 'one_cycle'"),
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


# In Python.


def test_a_recipe_is_constructed_from_one_choice_of_each_shelf() -> None:
    recipe = Recipe(model=SequenceRecipe(encoder=SASRec(dim=64), loss=CrossEntropy()))
    assert recipe == Recipe()
    assert recipe.sequence.objective == NextItem()
    sampled = SequenceRecipe(
        encoder=BERT4Rec(), objective=MaskedItem(), loss=SampledCrossEntropy(), negatives=Uniform(count=9)
    )
    assert sampled.negatives == Uniform(count=9)


@pytest.mark.parametrize(
    ("shelves", "reason"),
    [
        ({"encoder": BERT4Rec()}, "needs an encoder that does not look ahead"),
        ({"loss": BinaryCrossEntropy()}, "needs negatives"),
        ({"negatives": Uniform()}, "uses the whole catalogue"),
        ({"objective": NextItem(maximum_length=300)}, "exceeds the 200 rows"),
        ({"epochs": 3}, "is not a known key"),
        ({"encoder": "sasrec"}, "encoder"),
    ],
)
def test_python_is_told_the_same_as_the_command_line(shelves: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        sequence(**shelves)


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().sequence.training.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_made_in_python_come_back_from_json(name: str) -> None:
    assert Recipe.model_validate_json(RECIPES[name].model_dump_json()) == RECIPES[name]


def test_the_json_of_a_recipe_is_complete() -> None:
    """A stored recipe must not change its meaning when a default does."""
    content = Recipe().model_dump(mode="json")
    assert content["model"]["encoder"] == SASRec().model_dump(mode="json")
    assert set(content["model"]["encoder"]) == set(SASRec.model_fields)
    assert set(content) == set(Recipe.model_fields)
    assert set(content["model"]["training"]) == set(Training.model_fields)


def test_a_loss_that_weighs_negatives_refuses_a_single_one_of_a_model_of_users_too() -> None:
    message = refused("ncf", "loss=bpr_max", "negatives.count=1")
    assert "loss bpr_max weighs negatives against each other, and one alone (negatives.count=1) has nothing" in message


@pytest.mark.parametrize("exclude", ["window", "history"])
def test_the_targets_of_a_single_window_are_no_negatives_of_each_other(exclude: str) -> None:
    settings = ("loss=bpr", "negatives=in_batch", "training.batch_size=1")
    message = refused("sasrec-bce", *settings, f"negatives.exclude={exclude}")
    assert "training.batch_size=1 leaves those of one window" in message
    assert f"all of which negatives.exclude={exclude} leaves out" in message
    assert resolved("sasrec-bce", *settings, "negatives.exclude=target").sequence.negatives == InBatch(exclude="target")


# Items, which go with the encoder where nobody says otherwise.


@pytest.mark.parametrize(
    ("encoder", "items"),
    [
        (SASRec(), Tied()),
        (BERT4Rec(), Tied()),
        (Caser(), Separate(bias=True)),
        (FPMC(), Separate()),
        (FPMC(user_vectors=False), Separate()),
    ],
    ids=["SASRec", "BERT4Rec", "Caser", "FPMC", "FMC"],
)
def test_items_are_those_that_go_with_the_encoder(encoder: Any, items: Any) -> None:
    recipe = sequence(encoder=encoder, objective=NextItem() if encoder.is_causal else MaskedItem())
    assert recipe.sequence.items == items
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert as_toml(recipe).count(f'items.name = "{items.name}"') == 1


def test_another_encoder_brings_its_items_unless_they_are_asked_for() -> None:
    assert resolved("sasrec-ce", "encoder=caser").sequence.items == Separate(bias=True)
    assert resolved("bert4rec@sun2019").sequence.items == Tied(bias=True)
    swapped = ("bert4rec@sun2019", "encoder=caser", "encoder.window=3", "objective=next_few")
    assert resolved(*swapped).sequence.items == Separate(bias=True)
    assert resolved("caser", "encoder=sasrec").sequence.items == Tied()
    assert resolved("caser", "items.bias=false").sequence.items == Separate()
    assert resolved("caser", "encoder=sasrec", "items=separate").sequence.items == Separate(
        bias=True
    )  # nothing else was said
    assert resolved("bert4rec", "items.bias=true").sequence.items == Tied(bias=True)
    assert resolved("sasrec-ce", "encoder=fpmc", "items.bias=true").sequence.items == Separate(bias=True)
    assert resolved("caser", "encoder=sasrec", "items.bias=true").sequence.items == Tied(bias=True)


def test_who_said_which_items_is_known() -> None:
    of_items = {key: label for key, label in said("sasrec-ce", "encoder=caser").items() if key.startswith("items")}
    assert of_items == {}  # they follow from the encoder
    assert said("sasrec-ce", "items.bias=true")["items.bias"] == "command line"
    assert said("caser")["items.name"] == "recipe caser"


def test_states_of_another_width_need_items_of_their_own() -> None:
    assert (
        "items tied score by the vectors that are read, of width 50, and the encoder's states have 100; "
        "use items=separate"
    ) in refused("caser", "items=tied")
    assert resolved("caser", "items=tied", "encoder.user_vectors=false").sequence.items == Tied()


def test_a_wrong_encoder_is_refused_once_and_its_items_are_not() -> None:
    assert refused("sasrec-ce", "encoder.dim=0").count("items") == 0

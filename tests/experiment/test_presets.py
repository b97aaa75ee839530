"""The built-in recipes are those of the paper; a recipe file is read or refused with its place."""

import json
from pathlib import Path

import pytest

from nextitem.errors import ConfigurationError, StorageError
from nextitem.experiment.presets import (
    Preset,
    load_preset,
    load_recipe,
    overrides_of_each,
    preset_names,
    resolve_recipe,
)
from nextitem.experiment.recipe import Recipe
from nextitem.model.baselines import CoOccurrence
from nextitem.model.encoders import GPT2, BERT4Rec, GRU4Rec, SASRec
from nextitem.model.losses import GBCE, BinaryCrossEntropy, BPRMax, CrossEntropy, SampledCrossEntropy
from nextitem.model.negatives import Mixed, Uniform
from nextitem.model.objectives import MaskedItem
from nextitem.settings.keys import leaves, settings_of
from nextitem.training.training import Training
from worlds.parts import with_parts
from worlds.resolving import refused, resolved, said

# Hit rate and NDCG at 10, the best epoch and the seconds of training, as Klenitskiy & Vasilev (2023) publish them.
PUBLISHED = {
    "bert4rec": {
        "ml-1m": (0.2843, 0.1537, 197, 1409),
        "ml-20m": (0.2816, 0.1703, 68, 14758),
        "steam": (0.1242, 0.0662, 74, 4893),
        "beauty": (0.0338, 0.0187, 87, 2325),
        "yelp": (0.0442, 0.0223, 21, 10166),
    },
    "sasrec-bce": {
        "ml-1m": (0.2500, 0.1341, 53, 486),
        "ml-20m": (0.2001, 0.1067, 30, 2495),
        "steam": (0.0981, 0.0506, 39, 2140),
        "beauty": (0.0246, 0.0126, 26, 521),
        "yelp": (0.0228, 0.0115, 3, 655),
    },
    "sasrec-ce": {
        "ml-1m": (0.3152, 0.1821, 63, 540),
        "ml-20m": (0.2983, 0.1833, 46, 9959),
        "steam": (0.1191, 0.0641, 16, 1262),
        "beauty": (0.0533, 0.0327, 6, 332),
        "yelp": (0.0482, 0.0246, 3, 2505),
    },
    "sasrec-3000": {
        "ml-1m": (0.3159, 0.1857, 85, 769),
        "ml-20m": (0.3090, 0.1872, 39, 4125),
        "steam": (0.1206, 0.0652, 14, 1226),
        "beauty": (0.0490, 0.0295, 8, 296),
        "yelp": (0.0462, 0.0237, 5, 1965),
    },
}
each_preset = pytest.mark.parametrize("name", preset_names())
each_published = pytest.mark.parametrize("name", PUBLISHED)


@each_preset
def test_every_built_in_recipe_can_be_used_as_it_is(name: str) -> None:
    recipe = resolved(name)
    assert recipe.name == name
    assert recipe.data == "synthetic"
    if recipe.learner.unplanned is None:
        recipe.sequence.encoder.build()
        recipe.sequence.loss.build()


@each_preset
def test_every_built_in_recipe_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    preset = load_preset(name)
    assert preset.summary
    assert preset.source


@pytest.mark.parametrize("name", [name for name in preset_names() if "@" not in name])
def test_every_recipe_says_what_a_search_varies_and_uses_it(name: str) -> None:
    preset = load_preset(name)
    assert bool(preset.search) == (name != "popularity")  # which has nothing to vary
    for key, search in preset.search.items():
        for value in search.some():
            varied = resolve_recipe(preset, ["data=beauty", f"{key}={value}"]).value
            assert settings_of(varied)[key] == value


@each_preset
def test_every_profile_and_published_value_is_for_a_known_dataset(name: str) -> None:
    preset = load_preset(name)
    assert {*preset.profiles, *preset.published} <= {"synthetic", "ml-1m", "ml-20m", "beauty", "steam", "yelp"}
    for data in preset.profiles:
        assert f"profile {data} of {name}" in said(name, f"data={data}").values()


def beside(preset: Preset) -> dict[str, object]:
    """What a file has besides settings that comes from somewhere, as it stands there."""
    return {"profiles": dict(preset.profiles), "published": dict(preset.published)}


@each_preset
def test_every_value_that_a_recipe_states_has_a_source(name: str) -> None:
    preset = load_preset(name)
    stated = [key for key, value in leaves({**preset.settings, **beside(preset)}) if key != "name" and value != {}]
    assert [key for key in stated if not preset.source_of(key)] == []


@each_preset
def test_every_source_is_of_something_that_is_there(name: str) -> None:
    preset = load_preset(name)
    there = [*settings_of(resolved(name)), *(key for key, value in leaves(beside(preset)) if value != {})]
    assert [path for path in preset.sources if not any(f"{key}.".startswith(f"{path}.") for key in there)] == []


def test_the_longest_path_says_where_a_value_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[sources]\nencoder = "K"\n"encoder.dim" = "ours"\n', encoding="utf-8")
    preset = load_preset(str(file))
    paths = ("encoder.dim", "encoder.heads", "encoder", "objective.stride", "encoders.dim")
    assert [preset.source_of(path) for path in paths] == ["ours", "K", "K", None, None]


@each_preset
def test_every_recipe_comes_back_from_json(name: str) -> None:
    recipe = resolved(name, "data=ml-1m")
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert Recipe.model_validate_json(json.dumps(recipe.model_dump(mode="json"))) == recipe


@each_published
@pytest.mark.parametrize("data", ["ml-1m", "ml-20m", "steam", "beauty", "yelp"])
def test_published_values_are_those_of_the_paper(name: str, data: str) -> None:
    fields = ("hit_rate@10", "ndcg@10", "best_epoch", "train_seconds")
    assert load_preset(name).published[data] == dict(zip(fields, PUBLISHED[name][data], strict=True))


@each_published
@pytest.mark.parametrize(("data", "length"), [("ml-1m", 200), ("beauty", 50), ("synthetic", 50)])
def test_windows_are_as_long_as_in_the_paper(name: str, data: str, length: int) -> None:
    assert resolved(name, f"data={data}").sequence.objective.maximum_length == length


@each_published
def test_training_is_that_of_the_paper(name: str) -> None:
    """Adam with its usual decays and step size 1e-3, batches of 128, nothing else."""
    epochs, patience = (200, 20) if name == "bert4rec" else (100, 10)
    assert resolved(name, "data=beauty").sequence.training == Training(
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
    assert resolved(name, "data=ml-1m").sequence.encoder == SASRec(
        dim=64, blocks=2, heads=1, dropout=0.1, positions=200
    )


def test_bert4rec_is_that_of_the_paper() -> None:
    recipe = resolved("bert4rec", "data=beauty")
    assert recipe.sequence.encoder == BERT4Rec(dim=64, blocks=2, heads=2, inner=256, dropout=0.1, positions=200)
    assert recipe.sequence.objective == MaskedItem(maximum_length=50, mask_probability=0.2, masks="independent")
    assert (recipe.sequence.loss, recipe.sequence.negatives) == (CrossEntropy(), None)


@pytest.mark.parametrize("name", ["gru4rec", "gru4rec@klenitskiy2023"])
def test_gru4rec_is_that_of_the_paper(name: str) -> None:
    recipe, sasrec = resolved(name, "data=ml-1m"), resolved("sasrec-ce", "data=ml-1m")
    assert recipe.sequence.encoder == GRU4Rec(dim=64, hidden=None, blocks=1, dropout=0.0)
    plain = with_parts(sasrec, encoder=recipe.sequence.encoder).model_copy(update={"name": name})
    assert recipe == plain  # everything else is that of SASRec+
    assert load_preset(name).published == {
        "ml-1m": {"hit_rate@10": 0.2811, "ndcg@10": 0.1648},
        "ml-20m": {"hit_rate@10": 0.2813, "ndcg@10": 0.1730},
    }


@pytest.mark.parametrize("name", ["sasrec-ce", "bert4rec", "gru4rec"])
def test_a_versioned_name_is_the_recipe_itself(name: str) -> None:
    versioned = f"{name.removesuffix('-ce')}@klenitskiy2023"
    for data in ("ml-1m", "ml-20m", "beauty", "synthetic"):
        one, other = resolved(name, f"data={data}"), resolved(versioned, f"data={data}")
        assert one == other.model_copy(update={"name": name})
    assert load_preset(versioned).published == load_preset(name).published
    assert load_preset(versioned).sources == load_preset(name).sources


def test_another_name_adds_no_settings(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('same_as = "sasrec-ce"\nabout.summary = "mine"\n', encoding="utf-8")
    assert (load_preset(str(file)).name, load_preset(str(file)).summary) == ("mine", "mine")
    for more in ("encoder.dim = 32", 'sources.encoder = "ours"'):
        file.write_text(f'same_as = "sasrec-ce"\n{more}\n', encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r"mine is the same as sasrec-ce, .* write out all settings"):
            load_preset(str(file))


def test_names_that_go_round_are_refused(tmp_path: Path) -> None:
    one, other, outside = (str(tmp_path / f"{name}.toml") for name in ("one", "other", "outside"))
    for name, same in ((one, other), (other, one), (outside, one)):
        Path(name).write_text(f'same_as = "{same}"\n', encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_preset(outside)
    circle = f"{one}, which is the same as {other}, which is the same as {one}"
    assert str(refused.value) == f"there is no recipe in {circle}: write out the settings in one of them"


def test_gsasrec_is_that_of_the_authors_port() -> None:
    recipe = resolved("gsasrec@petrov2023", "data=ml-1m")
    assert recipe.sequence.encoder == SASRec(
        dim=128, blocks=2, heads=1, dropout=0.5, positions=200, attention_output_projection=False,
        position_direction="from_newest",
    )  # fmt: skip
    assert recipe.sequence.loss == GBCE(t=0.75)
    assert recipe.sequence.negatives == Uniform(count=256, sharing="position", replacement=True, exclude="target")
    assert recipe.sequence.objective.maximum_length == 200
    assert recipe.sequence.training == Training(epochs=10_000, patience=200, validation_users=512)


def test_gru4rec_plus_is_that_of_the_authors_code() -> None:
    recipe = resolved("gru4rec+@hidasi2018", "data=ml-1m")
    assert recipe.sequence.encoder == GRU4Rec(dim=100, hidden=None, blocks=1, dropout=0.0)
    assert recipe.sequence.loss == BPRMax(regularisation=0.5)
    assert recipe.sequence.negatives == Mixed(count=2048, exponent=0.75, in_batch=31, exclude="target")
    assert (recipe.sequence.training.batch_size, recipe.sequence.objective.maximum_length) == (32, 200)


def test_gpt2_has_the_size_of_the_configuration_that_never_ran() -> None:
    recipe, sasrec = resolved("gpt2", "data=ml-1m"), resolved("sasrec-ce", "data=ml-1m")
    assert recipe.sequence.encoder == GPT2(dim=64, blocks=2, heads=1, inner=None, dropout=0.1, positions=200)
    assert recipe == with_parts(sasrec, encoder=recipe.sequence.encoder).model_copy(update={"name": "gpt2"})
    assert load_preset("gpt2").published == {}


def test_the_models_of_the_claim_differ_in_their_loss_alone() -> None:
    shelves = {
        name: (recipe.sequence.loss, recipe.sequence.negatives)
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
    plain = resolved("sasrec-ce")
    for name in ("sasrec-bce", "sasrec-3000"):
        other = with_parts(resolved(name), loss=CrossEntropy(), negatives=None)
        assert other.model_copy(update={"name": plain.name}) == plain


# Where recipes come from.


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("sasrec", "did you mean"),
        ("sasrec_ce", "did you mean 'sasrec-ce'?"),
        ("bert4recc", "did you mean 'bert4rec'"),
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


# In Python, and for several at once.


def test_a_recipe_is_had_by_name_with_the_settings_for_its_data() -> None:
    assert load_recipe("sasrec-ce", "data=ml-1m", "encoder.dim=32") == resolved(
        "sasrec-ce", "data=ml-1m", "model.encoder.dim=32"
    )
    assert load_recipe("sasrec-ce", "data=ml-1m").sequence.objective.maximum_length == 200
    assert load_recipe("co-occurrence", "model.window=3").model == CoOccurrence(window=3)
    with pytest.raises(ConfigurationError, match="there is no recipe 'sasrek'; did you mean"):
        load_recipe("sasrek")


def test_of_several_recipes_each_gets_the_settings_that_its_model_has_parts_for() -> None:
    recipes = ("sasrec-ce", "popularity")
    assert overrides_of_each(recipes, ["data=beauty", "training.epochs=3", "model.encoder.dim=8"]) == [
        ["data=beauty", "training.epochs=3", "model.encoder.dim=8"],
        ["data=beauty"],
    ]
    assert (
        overrides_of_each(recipes, ["model=co_occurrence", "model.window=2"])
        == [["model=co_occurrence", "model.window=2"]] * 2
    )
    nobodys = ["training.epochs=3", "encodr.dim=8"]
    assert overrides_of_each(recipes[1:], nobodys) == [nobodys]  # which refuses them


def test_a_recipe_in_a_folder_that_may_not_be_entered_is_a_storage_error(locked: Path) -> None:
    with pytest.raises(StorageError, match=r"mine\.toml cannot be looked at: Permission denied; correct the"):
        load_preset(str(locked / "mine.toml"))

"""The rows of a study are recipes, each another training, also of a recipe that the study was not made for."""

from pathlib import Path

import pytest
import torch

from nextitem.compute.randomness import Purpose, generator
from nextitem.data.sequences import Sequences
from nextitem.data.splits import Temporal
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.found import deciding
from nextitem.experiment.presets import load_preset, preset_names, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.model.encoders import AnyEncoder, GRU4Rec, SASRec
from nextitem.settings.annotations import choices
from nextitem.studies.rows import entries, left_out, published
from nextitem.studies.study import StudyRequest, load_study, study_names
from worlds.small_study import SMALL


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", study_names())
def test_every_row_of_a_built_in_study_is_another_training(name: str, fast: bool) -> None:
    study = load_study(name)
    request = StudyRequest(study, fast=fast)
    rows = entries(request)
    assert [row.label for row in rows] == [row.label for row in request.rows]
    assert {row.recipe.data for row in rows} == {"synthetic" if fast else study.data}
    settings = [deciding(row.recipe) for row in rows]
    assert all(one not in settings[:place] for place, one in enumerate(settings))


def test_a_row_with_a_recipe_of_its_own_gets_its_own_settings_and_those_that_are_asked_for() -> None:
    request = StudyRequest(load_study("one-mask"), overrides=("training.steps=100",), recipe="bert4rec")
    whole, one, sasrec = (entry.recipe for entry in entries(request))
    assert (whole.name, one.name, sasrec.name) == ("bert4rec", "bert4rec", "sasrec@kang2018")
    assert {recipe.sequence.training.steps for recipe in (whole, one, sasrec)} == {100}
    assert (whole.sequence.encoder.dim, sasrec.sequence.encoder.dim) == (256, 256)
    assert getattr(whole.sequence.encoder, "heads", 0) == 8
    assert request.changes == ("--recipe bert4rec", "training.steps=100")


def recipes_of(study: str, recipe: str, fast: bool = False) -> list[Recipe]:
    return [entry.recipe for entry in entries(StudyRequest(load_study(study), recipe=recipe, fast=fast))]


def test_another_recipe_keeps_its_own_settings_but_for_what_is_varied() -> None:
    rows = recipes_of("layers", "sasrec-ce")
    assert [row.sequence.encoder for row in rows] == [SASRec(blocks=blocks) for blocks in (1, 2, 3, 4)]
    assert rows[1].model_copy(update={"name": "", "data": "", "encoder": SASRec()}) == resolve_recipe(
        load_preset("sasrec-ce"), ["data=beauty"]
    ).value.model_copy(update={"name": "", "data": ""})
    assert [row.sequence.encoder for row in recipes_of("layers", "gru4rec")] == [
        GRU4Rec(blocks=n) for n in (1, 2, 3, 4)
    ]
    assert {row.sequence.training.steps for row in recipes_of("layers", "gpt2", fast=True)} == {1500}
    on_ml_20m = StudyRequest(load_study("heads"), data="ml-20m", recipe="bert4rec")
    assert {getattr(entry.recipe.sequence.encoder, "dim", 0) for entry in entries(on_ml_20m)} == {
        256
    }  # as its profile has it


def test_what_another_recipe_does_not_have_is_left_out_and_told() -> None:
    request = StudyRequest(load_study("width"), recipe="sasrec-ce")
    assert [getattr(entry.recipe.sequence.encoder, "dim", 0) for entry in entries(request)] == [16, 32, 64, 128, 256]
    assert left_out(request) == ["sasrec-ce has no encoder.inner, left out of: d 16, d 32, d 64, d 128, d 256"]
    assert left_out(StudyRequest(load_study("width"))) == []


def test_published_values_stay_with_the_model_they_are_of() -> None:
    layers, masking = load_study("layers"), load_study("label-masking")
    whole = {"1 layer": 0.1782, "2 layers": 0.1832, "3 layers": 0.1859, "4 layers": 0.1834}
    assert published(StudyRequest(layers), "beauty") == whole
    assert published(StudyRequest(layers, recipe="bert4rec"), "beauty") == whole  # the model, trained in another way
    assert published(StudyRequest(layers, recipe="gpt2"), "beauty") == {}
    assert published(StudyRequest(layers, overrides=("loss=gbce", "negatives=uniform")), "beauty") == {}
    assert published(StudyRequest(masking), "beauty") == {"all targets": 0.0327, "BERT4Rec": 0.0187}
    assert published(StudyRequest(masking, recipe="sasrec-bce"), "beauty") == {"BERT4Rec": 0.0187}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("recipe", [name for name in preset_names() if "@" not in name])
@pytest.mark.parametrize("study", study_names())
def test_any_recipe_can_be_studied_or_it_is_said_which_can(study: str, recipe: str, fast: bool) -> None:
    message = ""
    try:
        rows = recipes_of(study, recipe, fast)
    except ConfigurationError as error:
        message, rows = str(error), []
    if rows:
        assert len(rows) == len(StudyRequest(load_study(study), recipe=recipe, fast=fast).rows)
    elif message.startswith("row "):  # a value that the recipe cannot have, such as a width that its network exceeds
        assert f"of study {study}, recipe {recipe}: " in message
    elif study == "ablation":
        assert message.startswith(f"nothing can be taken out of {recipe} to come nearer to sasrec-ce")
    else:
        assert message.startswith(f"study {study}")
        is_same = f"would be the same training of {recipe}" in message and f"{recipe} has no objective.masks" in message
        assert is_same or f", which recipe {recipe} does not have; vary one that has: " in message


def test_rows_that_would_be_one_training_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SMALL.replace('without=["positions"]', "without=[]"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="rows 'whole' and 'no positions' would be the same training of bert"):
        entries(StudyRequest(load_study(str(tmp_path / "mine.toml"))))


def test_longer_windows_hide_the_same_share() -> None:
    for entry in entries(StudyRequest(load_study("length-movielens"))):
        length = entry.recipe.sequence.objective.maximum_length
        windows = entry.recipe.sequence.objective.windows(Sequences.of([list(range(2 * length))], 2 * length))
        batch = entry.recipe.sequence.objective.batch(windows, generator(0, Purpose.MASKS_AND_NEGATIVES))
        assert set(batch.counts_B.tolist()) == {
            1,
            round(0.2 * length),
        }  # the copies with the last item alone, and others


def test_one_mask_is_one_in_every_window() -> None:
    recipe = next(entry.recipe for entry in entries(StudyRequest(load_study("one-mask"))) if "one mask" in entry.label)
    train = Sequences.of([list(range(length)) for length in range(1, 40)], 50)
    windows = recipe.sequence.objective.windows(train)
    batch = recipe.sequence.objective.batch(windows, generator(0, Purpose.MASKS_AND_NEGATIVES))
    assert torch.equal(batch.counts_B, torch.ones(len(windows), dtype=torch.int64))


def test_the_parts_that_are_left_out_are_those_that_an_encoder_can_do_without() -> None:
    varied = {part for row in load_study("parts").rows for text in row.overrides for part in PARTS if part in text}
    assert varied == PARTS
    for name in ("bert4rec", "sasrec"):
        configuration = choices(AnyEncoder)[name]
        assert configuration(without=tuple(sorted(PARTS))).without == tuple(sorted(PARTS))


PARTS = {"positions", "feed_forward", "norms", "residuals"}


def test_settings_about_events_are_those_of_all_rows_whatever_their_recipe() -> None:
    study = load_study("temporal")
    rows = entries(StudyRequest(study, overrides=("split.target=all",)))
    assert {row.recipe.split for row in rows} == {Temporal(cut=0.8, target="all", validation_target="last")}


def test_settings_of_training_are_meant_for_the_rows_that_are_trained() -> None:
    rows = entries(StudyRequest(load_study("temporal"), overrides=("training.steps=5",)))
    steps = {row.label: row.recipe.sequence.training.steps for row in rows if row.label in ("SASRec+", "BERT4Rec")}
    assert steps == {"SASRec+": 5, "BERT4Rec": 5}
    assert any(row.label == "BPR-MF" for row in rows)


def test_rows_may_be_left_out() -> None:
    study = load_study("temporal")
    with pytest.raises(ConfigurationError, match="row 'BPR-MF' of study temporal, recipe bpr-mf: split=temporal asks"):
        entries(StudyRequest(study, overrides=("split.validation=users",)))
    request = StudyRequest(study, overrides=("split.validation=users",), without=("BPR-MF",))
    assert [row.label for row in entries(request)] == [row.label for row in study.rows if row.label != "BPR-MF"]
    assert request.changes == ("split.validation=users", "without BPR-MF")
    with pytest.raises(ConfigurationError, match="--without BPR: there is no such row; did you mean 'BPR-MF'"):
        StudyRequest(study, without=("BPR",))

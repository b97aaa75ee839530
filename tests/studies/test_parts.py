"""What a recipe has otherwise than the one it was grown from is taken out part by part."""

import json
from pathlib import Path

import pytest

from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.found import deciding
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.train import Extras, train
from nextitem.studies.parts import Part
from nextitem.studies.rows import entries, left_out
from nextitem.studies.study import Study, StudyRequest, load_study
from nextitem.training.session import Session
from worlds.command_line import typed
from worlds.small_runs import chains, log_of, write_csv


def rows_of(*overrides: str, recipe: str | None = None, data: str | None = None) -> dict[str, tuple[str, ...]]:
    request = StudyRequest(load_study("ablation"), data, recipe, overrides)
    return {row.label: row.overrides for row in request.rows}


def test_a_part_is_what_the_recipe_has_otherwise_on_these_data() -> None:
    assert rows_of() == {
        "whole": (),
        "without width": ("encoder.dim=64", "encoder.heads=1"),
        "without dropout": ("encoder.dropout=0.1",),
        "without overlapping windows": ("objective.stride=none", "objective.targets=all"),
        "without falling step": (
            "training.epochs=100", "training.patience=10", "training.learning_rate=0.001", "training.schedule=constant",
        ),
        "sasrec-ce": (),
    }  # fmt: skip
    on_beauty = rows_of(data="beauty")
    assert on_beauty["without drawn negatives"] == ("loss=cross_entropy", "training.item_rows=all")
    assert "without overlapping windows" not in on_beauty  # there it has one window a user, as the base has


def test_everything_taken_out_at_once_is_the_base() -> None:
    request = StudyRequest(load_study("ablation"), "beauty")
    every = {text for row in request.rows for text in row.overrides}
    bare = load_recipe("gold", "data=beauty", *every)
    assert deciding(bare) == deciding(load_recipe("sasrec-ce", "data=beauty"))


def test_what_is_fixed_for_all_rows_is_no_part() -> None:
    rows = rows_of("encoder.dim=32", "training.epochs=5", "training.patience=5")
    assert "without width" in rows  # the heads are left
    assert rows["without width"] == ("encoder.heads=1",)
    assert rows["without falling step"] == ("training.learning_rate=0.001", "training.schedule=constant")


def test_what_no_part_claims_is_one_by_itself_and_another_kind_brings_its_settings() -> None:
    rows = rows_of(recipe="sasrec-fast")
    assert rows["without training.batch_size"] == ("training.batch_size=128",)
    # GRU4Rec has no heads to take out; without its encoder it is the base, which is not trained twice.
    assert rows_of("encoder.dropout=0.3", recipe="gru4rec") == {"whole": (), "without encoder": ("encoder=sasrec",)}


def test_a_setting_is_laid_on_the_rows_that_have_it_and_the_others_are_told() -> None:
    request = StudyRequest(load_study("ablation"), "beauty", overrides=("loss.precision=bfloat16",))
    found = {entry.label: entry.recipe.sequence.loss.model_dump() for entry in entries(request)}
    assert [label for label, loss in found.items() if loss.get("precision") == "bfloat16"] == [
        "without drawn negatives", "sasrec-ce",
    ]  # fmt: skip
    (sentence,) = left_out(request)
    assert sentence.startswith("gold has no loss.precision, left out of: whole, without width, ")
    with pytest.raises(ConfigurationError, match="loss\\.precison"):  # which none of them has
        entries(StudyRequest(load_study("ablation"), "beauty", overrides=("loss.precison=bfloat16",)))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("popularity", "nothing can be taken out of popularity .* have no parts in common"),
        ("sasrec-ce", "nothing can be taken out of sasrec-ce .* are the same on ml-1m"),
    ],
)
def test_a_recipe_that_has_no_parts_is_refused(recipe: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rows_of(recipe=recipe)


def test_a_part_that_cannot_be_taken_out_alone_is_refused_and_may_be_left_out() -> None:
    study = load_study("ablation")
    with pytest.raises(ConfigurationError, match="--without 'without objective' leaves the row out"):
        entries(StudyRequest(study, recipe="bert4rec"))
    rows = entries(StudyRequest(study, recipe="bert4rec", without=("without objective",)))
    assert "without encoder" in [row.label for row in rows]


@pytest.mark.parametrize("said", [{"parts": (Part(label="a", settings=("loss",)),)}, {"base": "sasrec-ce"}, {}])
def test_a_study_has_rows_or_parts_with_a_base(said: dict[str, object]) -> None:
    whole = {"name": "n", "summary": "s", "source": "s", "recipe": "gold", "data": "synthetic", "against": "whole"}
    with pytest.raises(ValueError, match=r"parts are taken out as the base has them|two rows or more, got 0"):
        Study.model_validate({**whole, **said})


def test_validation_stands_beside_test_and_what_is_finished_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_csv(log_of(chains()), tmp_path / "events.csv")
    monkeypatch.chdir(tmp_path)
    small = ("encoder.dim=8", "objective.maximum_length=8", "training.epochs=1", "training.batch_size=30")
    request = StudyRequest(load_study("ablation"), "events.csv", "sasrec-3000", (*small, "negatives.count=3"))
    runs = [train(entry.recipe, Session(0), "runs", extras=Extras(baselines=False)) for entry in entries(request)]
    words = ("study", "ablation", "--recipe", request.recipe or "", "data=events.csv", *request.overrides, "--json")
    assert typed(monkeypatch, *words, "--threads", "1") == 0
    told, err = capfd.readouterr()
    assert err.count("finished in runs/") == 2
    assert "sasrec-3000 has no negatives.count, left out of: without drawn negatives" in err
    found = {row["recipe"]: row["validation"] for row in json.loads(told)["rows"]}
    assert [*found] == ["whole", "without drawn negatives"]
    assert [*found.values()] == [run.metrics.validation.means["ndcg@10"] for run in runs]
    page = (tmp_path / "runs" / "study-ablation-events.csv" / "results.md").read_text(encoding="utf-8")
    assert f"| {found['whole']:.4f} |" in page

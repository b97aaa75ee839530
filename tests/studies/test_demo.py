"""The table of the demo and its verdict; the models themselves are tested elsewhere."""

from dataclasses import replace
from pathlib import Path

import pytest

from nextitem.data import prepare as preparing
from nextitem.data.datasets.synthetic import generate
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.studies import demo
from nextitem.studies.demo import MODELS, SERVED, DemoRow, rows, served, verdict
from nextitem.training.history import Silent, Watcher
from nextitem.training.session import Session


def row(label: str, ndcg: float) -> DemoRow:
    return DemoRow(label, 2 * ndcg, ndcg, (ndcg - 0.01, ndcg + 0.01), ndcg / 0.4, 60.0, 7, 10)


def table(plain: float, plus: float, bert: float) -> list[DemoRow]:
    """Rows labelled as the demo labels them."""
    values = {"SASRec (BCE, 1 negative)": plain, "SASRec+ (softmax)": plus, "BERT4Rec": bert, "Popularity": 0.05}
    return [row(label, ndcg) for label, ndcg in values.items()]


def test_the_paper_s_order_is_recognised() -> None:
    assert verdict(table(plain=0.1, plus=0.3, bert=0.2)) == (
        "The paper's order shows (SASRec+ above BERT4Rec above SASRec): "
        "SASRec+ 0.300 > BERT4Rec 0.200 > SASRec 0.100 > Popularity 0.050"
    )


@pytest.mark.parametrize(
    ("plain", "plus", "bert", "order"),
    [
        (0.1, 0.2, 0.3, "BERT4Rec 0.300 > SASRec+ 0.200 > SASRec 0.100 > Popularity 0.050"),
        (0.2, 0.3, 0.1, "SASRec+ 0.300 > SASRec 0.200 > BERT4Rec 0.100 > Popularity 0.050"),
        (0.3, 0.2, 0.1, "SASRec 0.300 > SASRec+ 0.200 > BERT4Rec 0.100 > Popularity 0.050"),
        (0.01, 0.02, 0.03, "Popularity 0.050 > BERT4Rec 0.030 > SASRec+ 0.020 > SASRec 0.010"),
    ],
)
def test_another_order_is_admitted(plain: float, plus: float, bert: float, order: str) -> None:
    assert verdict(table(plain, plus, bert)) == (
        f"The paper's order (SASRec+ above BERT4Rec above SASRec) does not show in this short run: {order}"
    )


def test_equal_values_are_no_order() -> None:
    assert "does not show" in verdict(table(plain=0.1, plus=0.2, bert=0.2))
    assert "does not show" in verdict(table(plain=0.2, plus=0.3, bert=0.2))


def test_the_verdict_finds_its_models_in_the_demo_s_own_table() -> None:
    assert "The paper's order" in verdict([row(label, 0.1) for label, _, _ in MODELS])


def test_every_model_of_the_demo_is_a_recipe_on_the_synthetic_data() -> None:
    for _, preset, overrides in MODELS:
        recipe = resolve_recipe(load_preset(preset), ("data=synthetic", *overrides)).value
        assert (recipe.name, recipe.data) == (preset, "synthetic")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two quick models on a smaller log."""
    made = generate(users=60, items=600)
    monkeypatch.setattr(preparing, "generate", lambda: made)
    quick = ("encoder.dim=8", "objective.maximum_length=6", "training.epochs=2", "training.patience=1")
    monkeypatch.setattr(demo, "MODELS", (("Counts", "popularity", ()), ("Trained", "sasrec-ce", quick)))


def test_each_model_has_a_row_that_is_told_of_when_it_is_done(small: None) -> None:
    told: list[str | DemoRow] = []

    def watch(label: str, recipe: Recipe) -> Watcher:
        told.append(f"{label} begins as {recipe.name}")
        return Silent()

    counts, trained = found = rows(0, watch, told.append)
    assert told == ["Counts begins as popularity", counts, "Trained begins as sasrec-ce", trained]
    assert [one.label for one in found] == ["Counts", "Trained"]
    assert (counts.epochs, counts.best_epoch, counts.train_seconds) == (0, 0, 0)
    assert 1 <= trained.best_epoch <= trained.epochs <= 2
    assert trained.train_seconds > 0


def test_a_row_is_measured_against_the_best_there_could_be(small: None) -> None:
    (counts, trained) = rows(0, lambda label, recipe: Silent(), lambda row: None)
    outcome = run(resolve_recipe(load_preset("popularity"), ["data=synthetic"]).value, Session(seed=0))
    bound = outcome.upper_bound
    assert bound is not None
    means = outcome.test.means
    expected = (means["hit_rate@10"], means["ndcg@10"], outcome.test.intervals["ndcg@10"])
    assert (counts.hit_rate, counts.ndcg, counts.interval) == expected
    assert counts.share_of_bound == means["ndcg@10"] / bound["ndcg@10"]
    assert trained.ndcg / trained.share_of_bound == pytest.approx(bound["ndcg@10"])  # one and the same for all


def test_the_seed_decides_the_trained_rows(small: None) -> None:
    def without_clock(seed: int) -> list[DemoRow]:
        return [replace(row, train_seconds=0.0) for row in rows(seed, lambda *_: Silent(), lambda row: None)]

    assert without_clock(0) == without_clock(0)
    assert without_clock(0)[0] == without_clock(1)[0]
    assert without_clock(0)[1] != without_clock(1)[1]


def test_what_is_served_is_made_once_and_found_from_then_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "SERVED", (("Popularity", "popularity", ()),))
    said: list[str] = []
    made = served(0, tmp_path, said.append)
    assert served(0, tmp_path, said.append) == made
    assert [line for line in said if line.startswith("Popularity")] == [
        "Popularity, seed 0: training",
        f"Popularity, seed 0: finished in {made[0]}",
    ]


def test_an_interrupted_start_is_no_obstacle_to_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "SERVED", (("Popularity", "popularity", ()),))
    popular = resolve_recipe(load_preset("popularity"), ["data=synthetic"]).value
    checkpoint = Workplace.of(tmp_path, popular, 0).checkpoint
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"of another number of threads")
    (made,) = served(0, tmp_path, lambda line: None)
    assert made.parent == tmp_path
    assert not checkpoint.exists()


def test_the_models_that_are_served_are_recipes_on_the_synthetic_data() -> None:
    for _, preset, overrides in SERVED:
        assert resolve_recipe(load_preset(preset), ("data=synthetic", *overrides)).value.data == "synthetic"

"""What a run leaves on disk, and what is read back of it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load_file

from nextitem.experiment.folder.metrics import metrics_of
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import weights_of, write_run
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.experiment.train import Extras, train
from nextitem.model.encoders import SASRec
from nextitem.storage import MANIFEST
from nextitem.training.session import Session
from worlds.small_runs import (
    ITEMS,
    RECIPES,
    USERS,
    chains,
    log_of,
    metrics,
    outcome,
    prepared_from,
    sha256,
    write_csv,
)
from worlds.stored_runs import FILES, NAME, written


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("name", RECIPES)
def test_every_kind_of_model_leaves_the_same_files(name: str, tmp_path: Path) -> None:
    folder = written(tmp_path, name)
    assert folder.parent == tmp_path
    assert {file.name for file in folder.iterdir()} == FILES
    assert [path.name for path in tmp_path.iterdir() if path != folder] == [".partial"]
    assert list((tmp_path / ".partial").glob("*/*")) == []


def test_the_folder_is_named_by_time_and_name(stored: Path) -> None:
    assert stored.name == "20260102-030405-sasrec-ce"


def test_the_recipe_is_stored_in_full(stored: Path) -> None:
    content = (stored / "recipe.json").read_text()
    assert Recipe.model_validate_json(content) == RECIPES[NAME]
    assert json.loads(content)["model"]["encoder"]["dropout"] == 0.1  # a default


def test_the_recipe_of_a_baseline_is_stored_with_what_it_has(tmp_path: Path) -> None:
    folder = written(tmp_path, "co-occurrence")
    assert json.loads((folder / "recipe.json").read_text())["model"] == {"name": "co_occurrence", "window": 1}
    assert read_run(folder).recipe == RECIPES["co-occurrence"]
    assert (
        "(co_occurrence) over 12 items, counted on the training events of 30 users.\n"
        in (folder / "README.md").read_text()
    )


def test_metrics_are_those_of_the_outcome(stored: Path) -> None:
    found = json.loads((stored / "metrics.json").read_text())
    reports = outcome(NAME).test, outcome(NAME).validation
    for part, report in zip(("test", "validation"), reports, strict=True):
        assert {name: found[part][name] for name in report.means} == report.means
        assert found[part]["intervals"]["ndcg@10"] == list(report.intervals["ndcg@10"])
    assert found["certificate"]["split"] == outcome(NAME).prepared.split.test.sha256
    assert (found["epochs"], found["best_epoch"]) == (2, outcome(NAME).history.best_epoch)
    assert found["parameters"] == sum(weight.numel() for weight in outcome(NAME).model.state_dict().values())
    assert (found["provenance"]["seed"], found["provenance"]["data"]) == (0, "synthetic")
    assert {"nextitem", "torch", "python", "device", "threads", "processor"} <= found["provenance"].keys()


def test_a_baseline_has_no_epochs_and_no_parameters() -> None:
    found = metrics("popularity")
    assert (found.epochs, found.best_epoch, found.train_seconds, found.parameters) == (0, 0, 0, 0)
    assert "test_upper_bound" not in found.as_dict()


def test_a_known_upper_bound_is_reported() -> None:
    bounded = replace(outcome(NAME), upper_bound={"ndcg@10": 0.75})
    assert metrics_of(bounded, metrics(NAME).provenance).test_upper_bound == {"ndcg@10": 0.75}


def test_history_has_a_line_an_epoch(stored: Path) -> None:
    lines = [json.loads(line) for line in (stored / "history.jsonl").read_text().splitlines()]
    assert lines == outcome(NAME).history.as_lines()
    assert [line["epoch"] for line in lines] == [1, 2]


def test_ranks_are_per_case_in_raw_ids(stored: Path) -> None:
    """The mean over users of 1 / log2(rank + 1) is the reported NDCG, computed here from the file alone."""
    ranks = pl.read_parquet(stored / "ranks.parquet")
    assert ranks.columns == ["part", "user", "length", "target", "above", "tied"]
    assert ranks["part"].to_list() == ["validation"] * USERS + ["test"] * USERS
    for part, place in (("validation", -2), ("test", -1)):
        targets = ranks.filter(pl.col("part") == part)["target"].to_list()
        assert targets == [f"i{history[place]:02}" for history in chains()]
    assert ranks["tied"].to_list() == [0] * 2 * USERS
    gain = pl.when(pl.col("above") < 10).then(1 / (pl.col("above") + 2).log(2)).otherwise(0)
    means = ranks.group_by("part").agg(gain.mean().alias("ndcg"))
    found = dict(means.iter_rows())
    assert found["test"] == pytest.approx(outcome(NAME).test.means["ndcg@10"])
    assert found["validation"] == pytest.approx(outcome(NAME).validation.means["ndcg@10"])


def test_cases_are_stored_with_the_length_of_the_history_that_was_asked_about(stored: Path) -> None:
    ranks = pl.read_parquet(stored / "ranks.parquet")
    for part, held_out in (("validation", 2), ("test", 1)):
        lengths = ranks.filter(pl.col("part") == part)["length"].to_list()
        assert lengths == [len(history) - held_out for history in chains()]


def test_items_are_stored_in_index_order_with_training_counts_and_titles(stored: Path) -> None:
    items = pl.read_parquet(stored / "items.parquet")
    trained = [item for history in chains() for item in history[:-2]]
    assert items["item"].to_list() == [f"i{item:02}" for item in range(ITEMS)]
    assert items["count"].to_list() == [trained.count(item) for item in range(ITEMS)]
    assert items["title"].to_list() == ["The First"] + [None] * (ITEMS - 1)


def test_users_are_stored_with_their_whole_histories(stored: Path) -> None:
    users = pl.read_parquet(stored / "users.parquet")
    assert users["user"].to_list() == [f"u{user:02}" for user in range(USERS)]
    assert users["history"].to_list() == chains()


def test_users_are_stored_with_times_where_the_model_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SASRec, "reads_times", True)
    users = pl.read_parquet(written(tmp_path) / "users.parquet")
    assert users["history"].to_list() == chains()
    assert users["times"].to_list() == [[60 * minute for minute in range(len(history))] for history in chains()]


def test_users_can_be_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path, with_users=False)
    assert {file.name for file in folder.iterdir()} == FILES - {"users.parquet"}
    assert read_run(folder).users is None


@pytest.mark.parametrize("name", RECIPES)
def test_weights_are_stored_bit_by_bit(name: str, tmp_path: Path) -> None:
    folder = written(tmp_path, name)
    assert sha256(load_file(folder / "model.safetensors")) == sha256(weights_of(outcome(name).model))


def test_the_model_card_tells_what_how_well_and_how_to_use_it(stored: Path) -> None:
    card, test = (stored / "README.md").read_text(), outcome(NAME).test
    assert card.startswith("# unnamed on synthetic\n")
    assert (
        f"(sasrec, cross_entropy) over {ITEMS} items, trained on {USERS} users with seed 0: the weights of epoch "
        in card
    )
    assert f"{100 * (1 - test.ceiling):.2f} % of the test targets cannot be hit" in card
    assert f"| {test.means['ndcg@10']:.4f} | {test.intervals['ndcg@10'][0]:.4f} – " in card
    assert "nextitem recommend <this folder>" in card


def test_the_manifest_names_every_other_file_by_its_sha256(stored: Path) -> None:
    manifest = json.loads((stored / MANIFEST).read_text())
    assert (manifest["format"], manifest["version"]) == ("nextitem run", 2)
    assert manifest["files"] == {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in ((name, (stored / name).read_bytes()) for name in sorted(FILES - {MANIFEST}))
    }


def test_a_run_is_read_back_as_it_was_written(stored: Path) -> None:
    found = read_run(stored)
    assert (found.folder, found.recipe) == (stored, RECIPES[NAME])
    assert found.metrics.as_dict() == json.loads((stored / "metrics.json").read_text())
    assert found.metrics == metrics(NAME).model_copy(update={"provenance": found.metrics.provenance})
    assert sha256(found.weights) == sha256(outcome(NAME).model.state_dict())
    assert found.items["item"].len() == ITEMS
    assert found.users is not None
    assert found.users["history"].to_list() == chains()


def test_ids_that_are_numbers_stay_numbers(tmp_path: Path) -> None:
    log = log_of(chains())
    numbers = replace(log, events=log.events.with_columns(pl.col("user", "item").str.slice(1).cast(pl.Int64) * 100))
    trained = run(RECIPES["popularity"], Session(seed=0), prepared=prepared_from(numbers))
    folder = write_run(Workplace(tmp_path, "p", 0), RECIPES["popularity"], trained, metrics("popularity"))
    found = read_run(folder)
    assert found.items["item"].to_list() == [100 * item for item in range(ITEMS)]
    assert found.users is not None
    assert found.users["user"].to_list() == [100 * user for user in range(USERS)]
    assert pl.read_parquet(folder / "ranks.parquet")["target"].dtype == pl.Int64


def test_the_card_of_a_model_without_luck_names_no_seed(tmp_path: Path) -> None:
    recipe = load_recipe("ease", f"data={write_csv(log_of(chains()), tmp_path / 'log.csv')}")
    stored = train(recipe, Session(3), tmp_path / "runs", extras=Extras(baselines=False))
    assert "(ease) over 12 items, trained on 30 users." in (stored.folder / "README.md").read_text()

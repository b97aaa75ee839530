"""Content that is not what it must be is refused by file and field, whoever signed the manifest."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from nextitem.errors import ArtefactError
from nextitem.experiment.folder.reading import RUN, read_run
from nextitem.report.run.evidence import Evidence
from nextitem.serving.recommender import Recommender
from worlds.stored_runs import written


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def folder(stored: Path, tmp_path: Path) -> Path:
    """A copy of the run, to do anything to."""
    return shutil.copytree(stored, tmp_path / "run")


def refusal(folder: Path) -> str:
    """What is said of a run that is signed again and read whole."""
    RUN.seal(folder)
    with pytest.raises(ArtefactError) as refused:
        read_whole(folder)
    text = str(refused.value)
    assert refused.value.exit_code == 4
    assert "\n" not in text
    assert text.endswith("train anew")
    return text


def read_whole(folder: Path) -> None:
    run = read_run(folder)
    for part in ("items", "users", "ranks", "history"):
        getattr(run, part)
    Recommender.load(folder)
    Evidence.of(run)


def put(tree: Any, key: str, value: object) -> None:
    *above, last = key.split("/")
    for word in above:
        tree = tree[word]
    tree[last] = value


@pytest.mark.parametrize(
    ("key", "value", "fact"),
    [
        ("test", None, "metrics.json: test = null should be a table"),
        ("test/ndcg@10", "high", 'metrics.json: test.ndcg@10 = "high" should be a number'),
        ("test/ceiling", 1.5, "metrics.json: test.ceiling = 1.5 should be less than or equal to 1"),
        ("test/intervals", {}, "metrics.json: test = {"),
        ("test/intervals/ndcg@10", [0.9, 0.1], "intervals.ndcg@10 = [0.9, 0.1] should ascend from 0"),
        ("test/ndcg@10", -0.5, "ndcg@10 = -0.5 should be at least 0"),
        ("epochs", -2, "metrics.json: epochs = -2 should be greater than or equal to 0"),
        ("epochs", 10**400, "should be less than or equal to 9007199254740992"),
        ("epochs", 7, "history.jsonl: has 2 epochs, and metrics.json 7"),
        ("best_epoch", 3, "best_epoch = 3 is none of 2 epochs"),
        ("certificate/cases", 0, "certificate.cases = 0 should be from 1 to"),
        ("certificate/cases", 29, "ranks.parquet: column part says test 30 times, and metrics.json has 29 cases"),
        ("certificate/candidates", -12, "certificate.candidates = -12 should be from 1 to"),
        ("certificate/candidates", 13, "items.parquet: has 12 rows, and metrics.json has 13 items"),
        ("certificate/metrics", ["ndcg@7"], "certificate.metrics names ndcg@7, which is not among test and validation"),
        ("certificate/metrics", [], "certificate.metrics names none"),
        ("provenance/seed", -1, "provenance.seed = -1 should be greater than or equal to 0"),
        ("provenance/started", "yesterday", 'provenance.started = "yesterday"'),
        ("provenance/events_sha256", "../../x", "provenance.events_sha256"),
    ],
)  # fmt: skip
def test_metrics_are_refused_by_their_field(key: str, value: object, fact: str, folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    put(metrics, key, value)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert fact in refusal(folder)


@pytest.mark.parametrize("number", [2**64, 10**400])
def test_a_setting_that_no_computer_counts_to_is_refused_by_its_key(number: int, folder: Path) -> None:
    recipe = json.loads((folder / "recipe.json").read_text())
    put(recipe, "model/training/epochs", number)
    (folder / "recipe.json").write_text(json.dumps(recipe))
    assert "recipe.json: training.epochs should be below 2⁶⁴, and has " in refusal(folder)


@pytest.mark.parametrize("name", ["recipe.json", "metrics.json", "history.jsonl"])
def test_json_of_any_depth_is_refused(name: str, folder: Path) -> None:
    (folder / name).write_text("[" * 3000 + "]" * 3000)
    assert f"{name}: " in refusal(folder)


def test_json_of_any_size_is_refused_unread(folder: Path) -> None:
    with (folder / "recipe.json").open("r+b") as content:
        content.truncate(65 << 20)
    assert "has 68,157,440 bytes, where at most 67,108,864 are read" in refusal(folder)


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        ({"epoch": 3}, "line 1: epoch = 3 should be 1"),
        ({"train_loss": None}, "line 1: train_loss = null should be a number"),
        ({"train_seconds": -1.0}, "line 1: train_seconds = -1.0 should be greater than or equal to 0"),
        ({"validation": {}}, "line 1: validation has no ndcg@10, which recipe.json monitors"),
        ({"validation": {"ndcg@10": float("nan")}}, "line 1: validation.ndcg@10 = NaN should be a finite number"),
        ({"other": 1}, "line 1: other is not a known key"),
    ],
)
def test_epochs_are_refused_by_line_and_field(line: dict[str, object], fact: str, folder: Path) -> None:
    first, *others = (folder / "history.jsonl").read_text().splitlines()
    (folder / "history.jsonl").write_text("\n".join([json.dumps(json.loads(first) | line), *others]))
    assert f"history.jsonl: {fact}" in refusal(folder)


def with_first(column: str, value: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A table with another first value in a column."""

    def changed(table: pl.DataFrame) -> pl.DataFrame:
        values = [value, *table[column].to_list()[1:]]
        return table.with_columns(pl.Series(column, values, dtype=table[column].dtype))

    return changed


@pytest.mark.parametrize(
    ("name", "change", "fact"),
    [
        ("items", lambda table: table.drop("count"), "has no column count"),
        ("items", lambda table: table.cast({"count": pl.Float64}), "column count holds Float64 and should hold Int64"),
        ("items", lambda table: table.head(5), "has 5 rows, and metrics.json has 12 items"),
        ("items", lambda table: table.reverse(), "column item: value 2, i10, should follow on i11"),
        ("items", with_first("item", None), "column item: value 1, None, is missing"),
        ("items", with_first("count", -1), "column count: value 1, -1, should be from 0 to"),
        ("users", with_first("history", [0, 12]), "column history: value 2, 12, should be from 0 to 11"),
        ("users", with_first("history", [-1]), "column history: value 1, -1, should be from 0 to 11"),
        ("users", with_first("history", [None]), "column history: value 1, None, should be from 0 to 11"),
        ("users", with_first("history", None), "column history: value 1, None, is missing"),
        ("users", lambda table: table.head(10), "events, and items.parquet counts"),
        ("users", lambda table: table.clear(), "column history holds 0 events, and items.parquet counts"),
        ("users", lambda table: table.head(29), "has no history of user 'u29', who is in ranks"),
        ("users", with_first("user", "u05"), "column user: value 2, u01, should follow on u05"),
        ("users", lambda table: table.with_columns(history=pl.lit("0")), "column history holds String"),
        ("users", lambda table: table.with_columns(times=pl.lit([1], dtype=pl.List(pl.Int64))), "one time for each"),
        ("users", lambda table: table.with_columns(weights=pl.lit([1], pl.List(pl.Float32))), "one weight for each"),
        ("ranks", lambda table: table.drop("above"), "has no column above"),
        ("ranks", lambda table: table.drop("length"), "has no column length, which a report needs"),
        ("ranks", with_first("above", -1.0), "column above: value 1, -1.0, should be at least 0 and below 12"),
        ("ranks", with_first("above", 12.0), "column above: value 1, 12.0, should be"),
        ("ranks", with_first("above", float("nan")), "column above: value 1, nan, should be"),
        ("ranks", with_first("tied", float("inf")), "column tied: value 1, inf, should be"),
        ("ranks", lambda table: table.with_columns(length=pl.col("length") + 9), "history of users.parquet is shorter"),
        ("ranks", lambda table: table.reverse(), "column part: value 31, validation, should not follow on"),
        ("ranks", lambda table: table.sort("part", "user", descending=True), "column user: value 2, u28, should not"),
        ("ranks", with_first("part", "train"), "column part: value 1, train, should be validation or test"),
        ("ranks", lambda table: table.with_columns(target=pl.lit("i99")), "30 targets are not in items.parquet"),
        ("ranks", lambda table: table.vstack(table), "column part says test 60 times, and metrics.json has 30 cases"),
    ],
)  # fmt: skip
def test_tables_are_refused_by_column_and_value(
    name: str, change: Callable[[pl.DataFrame], pl.DataFrame], fact: str, folder: Path
) -> None:
    file = folder / f"{name}.parquet"
    change(pl.read_parquet(file)).write_parquet(file)
    told = refusal(folder)
    assert f"{name}.parquet: " in told
    assert fact in told


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (lambda weights: weights * float("nan"), "numbers that are not finite"),
        (lambda weights: weights.double(), "float64"),
        (lambda weights: weights[:1].contiguous(), "(1, 8)"),
        (lambda weights: weights.reshape(-1), "(96)"),
    ],
)
def test_weights_are_refused_by_name_type_and_shape(
    change: Callable[[torch.Tensor], torch.Tensor], fact: str, folder: Path
) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "items.weight_Nd"
    save_file(weights | {name: change(weights[name])}, folder / "model.safetensors")
    told = refusal(folder)
    assert name in told
    assert fact in told

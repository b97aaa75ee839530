"""Parquet that other engines write and read is the same log: ids, histories and fingerprints of the split."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nextitem.compute.spread import HERE
from nextitem.data.mapped.partitioned import partition_of, prepare_partitioned
from nextitem.data.mapped.spreading import prepare_spread
from nextitem.data.prepare import Prepared, prepare
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.recipe import Recipe
from worlds.small_runs import chains, log_of

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"


def facts(prepared: Prepared) -> list[object]:
    """What decides all that is learnt and measured of a log."""
    log, split = prepared.log, prepared.split
    catalogs = [catalog.ids.to_list() for catalog in (log.users, log.items)]
    return [*catalogs, log.sha256(with_times=True), split.validation.sha256, split.test.sha256]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events that are not in order, one of them at the same time as the one before."""
    frame = log_of(chains()).events
    frame = frame.with_columns(time=pl.when(pl.col("time") == 120.0).then(60.0).otherwise("time").cast(pl.Int64))
    file = tmp_path_factory.mktemp("events") / "events.csv"
    frame.sample(fraction=1.0, shuffle=True, seed=3).write_csv(file)
    return file


@pytest.fixture(scope="module")
def as_read(events: Path) -> list[object]:
    return facts(prepare(Recipe(data=str(events))))


def test_a_log_in_partitions_is_the_log(events: Path, as_read: list[object], tmp_path: Path) -> None:
    manifest = prepare_partitioned(tmp_path / "log", str(events), 3)
    assert facts(prepare(Recipe(data=str(tmp_path / "log" / "events")))) == as_read
    assert [manifest.log_sha256, manifest.validation_sha256, manifest.test_sha256][1:] == as_read[-2:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log"]
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == ["events", "items.parquet"]
    assert pl.read_parquet(tmp_path / "log" / "items.parquet")["item"].to_list() == as_read[1]
    for part in range(3):
        frame = pl.read_parquet(tmp_path / "log" / "events" / f"part={part}" / "0.parquet", hive_partitioning=False)
        assert frame.columns == ["user", "item", "time"]
        assert {partition_of(user, 3) for user in frame["user"]} == {part}
        assert frame.equals(frame.sort("user", "time", maintain_order=True))


def test_kinds_and_foreign_folders_are_refused(events: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="leave out kinds or --parts"):
        prepare_partitioned(tmp_path / "log", str(events), 3, ["kinds={view=1}"])
    (tmp_path / "events" / "other").mkdir(parents=True)
    with pytest.raises(DataError, match="a folder with a folder in it, other"):
        prepare(Recipe(data=str(tmp_path / "events")))


def test_duckdb_writes_what_the_page_says(
    events: Path, as_read: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed: pip install duckdb")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.csv").write_bytes(events.read_bytes())
    (tmp_path / "log").mkdir()
    (statements,) = re.findall("```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    duckdb.sql(statements)
    assert facts(prepare(Recipe(data="log/events"))) == as_read


def in_files(frame: pl.DataFrame, folder: Path, each: int = 37) -> str:
    folder.mkdir()
    for number, some in enumerate(frame.iter_slices(each)):
        some.write_csv(folder / f"{number:02}.csv")
    return str(folder)


@pytest.mark.parametrize(
    ("changed", "overrides"),
    [
        ([pl.col("time")], []),
        ([pl.col("user").str.slice(1), pl.col("item").str.slice(1).str.replace("^0", "")], ["filters.repeats=last"]),
        ([pl.col("time") + 0.5], ["filters.minimum_per_user=6", "filters.minimum_per_item=12"]),
        ([], ["filters.minimum_per_user=7", "filters.iterate=false"]),
    ],
    ids=["texts", "numbers", "core", "without times"],
)
def test_a_log_prepared_file_by_file_is_the_log(
    events: Path, changed: list[Any], overrides: list[str], tmp_path: Path
) -> None:
    frame = pl.read_csv(events)
    frame = frame.with_columns(*changed) if changed else frame.drop("time")
    files = in_files(frame, tmp_path / "files")
    one = prepare_partitioned(tmp_path / "one", files, 3, overrides)
    several = prepare_spread(tmp_path / "several", files, 3, HERE, overrides)
    assert several.model_dump(exclude={"files", "made_with"}) == one.model_dump(exclude={"files", "made_with"})
    written = [sorted((tmp_path / name).rglob("*.parquet")) for name in ("one", "several")]
    for first, second in zip(*written, strict=True):
        assert first.relative_to(tmp_path / "one") == second.relative_to(tmp_path / "several")
        assert pl.read_parquet(first, hive_partitioning=False).equals(pl.read_parquet(second, hive_partitioning=False))
    assert sorted(path.name for path in (tmp_path / "several").iterdir()) == ["events", "items.parquet"]


def test_what_one_file_alone_does_not_tell_is_refused(events: Path, tmp_path: Path) -> None:
    seconds = pl.when(pl.int_range(pl.len()) < 37).then(1_500_000_000).otherwise(pl.lit(1_500_000_000_000))
    files = in_files(pl.read_csv(events).with_columns(time=seconds), tmp_path / "files")
    told = {
        "columns.time_unit=ms": r"00\.csv:2:time: '1500000000' looks like seconds where other times",
        "columns.order=rows": "the filters leave none of",
    }
    for road in (prepare_partitioned, partial(prepare_spread, spread=HERE)):
        for override, message in told.items():
            with pytest.raises(DataError, match=message):
                road(tmp_path / "log", files, 3, overrides=[override, "filters.minimum_per_user=99"])
    assert [path.name for path in tmp_path.iterdir()] == ["files"]

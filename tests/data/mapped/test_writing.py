"""A prepared folder is the raw file, read earlier: the same histories, certificate and weights, to the bit."""

import json
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from nextitem.data.filters import Filters
from nextitem.data.mapped import ordering as preparing
from nextitem.data.mapped.folder import read_manifest, read_prepared, verify
from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import Prepared, prepare
from nextitem.data.reading import files as reading
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions, read_parts
from nextitem.data.sequences import Sequences
from nextitem.data.splits import AnySplit, LeaveOneOut, Temporal, Users
from nextitem.data.splits.split import Split, SplitFacts
from nextitem.errors import ArtefactError, ConfigurationError, DataError, NextitemError, StorageError
from nextitem.experiment.folder.writing import weights_of
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.model.objectives import NextItem
from nextitem.training.session import Session
from worlds.small_runs import RECIPES, chains, log_of, sha256, write_csv

FILTERS = [
    [],
    ["filters.repeats=first"],
    ["filters.repeats=last", "filters.minimum_per_item=3"],
    ["filters.minimum_per_user=4", "filters.minimum_per_item=9"],
    ["filters.minimum_per_user=4", "filters.minimum_per_item=9", "filters.iterate=false"],
]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is read in several parts and dealt out to several stretches."""
    monkeypatch.setattr(preparing, "_AT_ONCE", 64)
    in_parts = partial(read_parts, events=50)
    monkeypatch.setattr("nextitem.data.mapped.writing.read_parts", in_parts)


def events(rows: int = 900, seed: int = 0) -> pl.DataFrame:
    draws = np.random.default_rng(seed)
    items = (60 * draws.random(rows) ** 2).astype(int)
    times = draws.integers(-100, 100, rows)
    return pl.DataFrame({"user": draws.integers(0, 150, rows), "item": items, "time": times})


def as_written(table: pl.DataFrame, file: Path) -> Path:
    table.write_parquet(file, row_group_size=100) if file.suffix == ".parquet" else table.write_csv(file)
    return file


def both(file: Path, overrides: list[str], tmp_path: Path) -> tuple[Prepared, Prepared]:
    recipe = Recipe(data=str(file), filters=settings(overrides))
    folder = tmp_path / "prepared"
    prepare_into(folder, str(file), overrides)
    return prepare(recipe), prepare(Recipe(data=str(folder)))


def settings(overrides: list[str]) -> Filters:
    pairs = (override.removeprefix("filters.").split("=") for override in overrides)
    return Filters.model_validate_json(
        json.dumps({key: value if value.isalpha() and value != "false" else json.loads(value) for key, value in pairs})
    )


def assert_equal(raw: Prepared, prepared: Prepared) -> None:
    assert raw.log.users.ids.to_list() == prepared.log.users.ids.to_list()
    assert raw.log.items.ids.to_list() == prepared.log.items.ids.to_list()
    assert raw.log.users.ids.dtype == prepared.log.users.ids.dtype
    assert raw.log.sequences.tolist() == prepared.log.sequences.tolist()
    one, other = raw.log.sequences.events, prepared.log.sequences.events
    assert (one.times is None) == (other.times is None)
    if one.times is not None and other.times is not None:
        assert one.times.dtype == other.times.dtype
        assert torch.equal(one.times, other.times)
    assert raw.log.sha256() == prepared.log.sha256()
    assert raw.notes == tuple(note for note in prepared.notes if "files are one log" not in note)
    for part in ("validation", "test"):
        one, other = getattr(raw.split, part), getattr(prepared.split, part)
        assert one.sha256 == other.sha256
        assert one.histories.tolist() == other.histories.tolist()
        assert one.targets_C.tolist() == other.targets_C.tolist()
        assert torch.equal(one.counts_N, other.counts_N)
    assert raw.split.train.tolist() == prepared.split.train.tolist()
    assert torch.equal(raw.split.train.counts(), prepared.split.train.counts())


@pytest.mark.parametrize("overrides", FILTERS, ids=" ".join)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_prepared_folder_holds_what_the_file_gives(ending: str, overrides: list[str], tmp_path: Path) -> None:
    file = as_written(events(), tmp_path / f"log{ending}")
    assert_equal(*both(file, overrides, tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        pl.col("user").cast(pl.String).str.pad_start(3, "0"),
        pl.concat_str(pl.lit("ü"), "user"),
        pl.col("item").cast(pl.String).cast(pl.Categorical),
        pl.col("time") + 0.25,
        pl.col("time") * -0.0,
        pl.from_epoch("time"),
    ],
    ids=["padded", "letters", "categories", "fractions", "zeros", "dates"],
)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_ids_and_times_of_every_kind_are_understood_alike(change: pl.Expr, ending: str, tmp_path: Path) -> None:
    name = change.meta.output_name().replace("literal", "user")
    assert_equal(*both(as_written(events().with_columns(change.alias(name)), tmp_path / f"log{ending}"), [], tmp_path))


def test_without_times_the_order_of_the_file_counts(tmp_path: Path) -> None:
    file = as_written(events().drop("time"), tmp_path / "log.parquet")
    assert_equal(*both(file, [], tmp_path))


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_times_finer_than_a_float_resolves_keep_their_order(ending: str, tmp_path: Path) -> None:
    start = 1_700_000_000 * 10**9
    table = events().with_columns(time=pl.int_range(900, 0, -1) % 7)
    # Whole seconds first: the column of what seconds leave out begins in the middle of the file.
    fine = pl.when(pl.int_range(900) < 400).then(pl.col("time") * 10**9).otherwise("time") + start
    raw, prepared = both(
        as_written(table.with_columns(time=fine.cast(pl.Datetime("ns"))), tmp_path / f"log{ending}"), [], tmp_path
    )
    assert_equal(raw, prepared)
    exact = table.with_columns(time=fine).with_row_index().sort("user", "time", "index")
    indices = {item: index for index, item in enumerate(raw.log.items.ids.to_list())}
    order = exact["item"].cast(raw.log.items.ids.dtype).replace_strict(indices)
    assert [item for history in raw.log.sequences.tolist() for item in history] == order.to_list()
    tied = exact.select(pl.struct("user", "time").is_duplicated().sum()).item()
    assert f"{tied} events share user and time with another; file order decides" in raw.notes
    whole = table.with_columns(time=fine // 10**9)
    assert tied < whole.select(pl.struct("user", "time").is_duplicated().sum()).item()


def test_rows_that_are_there_twice_are_counted_alike(tmp_path: Path) -> None:
    table = pl.concat([events(), events().head(40)])
    raw, prepared = both(as_written(table, tmp_path / "log.parquet"), [], tmp_path)
    assert_equal(raw, prepared)
    again = table.height - table.n_unique()
    assert f"{again} rows are there twice, user, item and time; filters.repeats=first drops them" in prepared.notes


def test_a_fraction_among_whole_numbers_changes_the_order_of_no_other_event(tmp_path: Path) -> None:
    start = 1_700_000_000 * 10**9
    text = (pl.int_range(900, 0, -1) % 7 + start).cast(pl.String)
    last = pl.when(pl.int_range(900) < 890).then(text).otherwise(text + ".5")
    table = events().drop("time").with_columns(timestamp_ns=last)
    assert_equal(*both(as_written(table, tmp_path / "log.csv"), [], tmp_path))


def test_files_that_call_their_columns_otherwise_are_refused(tmp_path: Path) -> None:
    as_written(events(), tmp_path / "part-0.csv")
    as_written(events().rename({"time": "date"}), tmp_path / "part-1.csv")
    with pytest.raises(DataError, match=r"part-0.csv has the time in 'time', and .*part-1.csv in 'date'; make"):
        prepare_into(tmp_path / "prepared", str(tmp_path / "part-*.csv"))


def test_the_folder_says_by_which_columns_it_was_read(tmp_path: Path) -> None:
    file = as_written(events().rename({"user": "uid", "time": "ts"}), tmp_path / "log.csv")
    manifest = prepare_into(tmp_path / "prepared", str(file))
    assert manifest.columns == Columns()
    assert manifest.columns_found == Columns(user="uid", item="item", time="ts")
    assert manifest.notes[0] == "column 'ts' orders the events of a user; users are in 'uid', items in 'item'"
    assert prepare(Recipe(data=str(tmp_path / "prepared"))).columns == manifest.columns_found


def test_one_user_may_have_more_events_than_are_sorted_at_once(tmp_path: Path) -> None:
    table = pl.concat([events(), events(300, 1).with_columns(user=pl.lit(3, pl.Int64))])
    assert_equal(*both(as_written(table, tmp_path / "log.csv"), [], tmp_path))


def test_several_files_are_one_log_in_the_order_of_their_names(tmp_path: Path) -> None:
    table = events()
    for number, part in enumerate(table.iter_slices(400)):
        as_written(part, tmp_path / f"part-{number}.csv")
    prepare_into(tmp_path / "prepared", str(tmp_path / "part-*.csv"))
    names = "part-0.csv, part-1.csv, part-2.csv"
    assert read_manifest(tmp_path / "prepared").notes[-1] == f"3 files are one log, in this order: {names}"
    whole = as_written(table, tmp_path / "whole.csv")
    assert_equal(prepare(Recipe(data=str(whole))), prepare(Recipe(data=str(tmp_path / "prepared"))))
    as_written(table.with_columns(user=pl.lit("ann")), tmp_path / "b.parquet")
    as_written(table, tmp_path / "c.parquet")
    with pytest.raises(DataError, match=r"b\.parquet has texts in 'user', and .*c\.parquet has whole numbers"):
        prepare_into(tmp_path / "mixed", str(tmp_path / "*.parquet"))
    as_written(table.drop("time"), tmp_path / "part-3.csv")
    with pytest.raises(DataError, match=r"part-0\.csv has the time in 'time', and .*part-3\.csv in no column"):
        prepare_into(tmp_path / "mixed", str(tmp_path / "part-*.csv"))
    (tmp_path / "b.parquet").unlink()
    with pytest.raises(DataError, match=r"c\.parquet is read as parquet, and .*part-0\.csv as csv"):
        prepare_into(tmp_path / "mixed", str(tmp_path / "*.*"))
    with pytest.raises(ConfigurationError, match=r"preparation .*: no such key; it is called filters here"):
        prepare_into(tmp_path / "other", str(tmp_path / "part-*.csv"), ["preparation.repeats=first"])
    with pytest.raises(DataError, match="no file fits the pattern"):
        prepare_into(tmp_path / "mixed", str(tmp_path / "none-*.csv"))


@pytest.mark.parametrize("name", ["sasrec-ce", "sasrec-sampled", "bert4rec", "popularity", "co-occurrence"])
def test_training_on_the_folder_ends_with_the_same_bits(name: str, tmp_path: Path) -> None:
    file = write_csv(log_of(chains()), tmp_path / "log.csv")
    prepare_into(tmp_path / "prepared", str(file))
    raw, prepared = (
        run(RECIPES[name].model_copy(update={"data": str(data)}), Session(seed=0))
        for data in (file, tmp_path / "prepared")
    )
    assert sha256(weights_of(raw.model)) == sha256(weights_of(prepared.model))
    assert raw.test.certificate == prepared.test.certificate
    assert raw.test.certificate.dataset == "log.csv"
    assert raw.test.means == prepared.test.means


def test_a_folder_of_an_earlier_version_is_called_by_the_file_that_was_read(tmp_path: Path) -> None:
    manifest = prepare_into(tmp_path / "prepared", str(as_written(events(), tmp_path / "log.csv")))
    assert manifest.called == "log.csv"
    unsaid = manifest.model_copy(update={"called": ""})
    assert unsaid.name_in(tmp_path / "prepared") == "log.csv"
    several = unsaid.model_copy(update={"source": ("a.csv", "b.csv")})
    assert several.name_in(tmp_path / "prepared") == "prepared"


def test_anyone_can_open_the_arrays(tmp_path: Path) -> None:
    file = as_written(events().with_columns(pl.col("time") + 0.25), tmp_path / "log.csv")
    prepare_into(tmp_path / "prepared", str(file))
    kinds = {"event_items": "<i4", "event_times": "<f8", "offsets": "<i8", "train_counts": "<i8"}
    arrays = {name: np.load(tmp_path / "prepared" / f"{name}.npy", mmap_mode="r") for name in kinds}
    assert {name: array.dtype.str for name, array in arrays.items()} == kinds
    assert len(arrays["event_items"]) == len(arrays["event_times"]) == arrays["offsets"][-1] == 900
    first = arrays["event_times"][: arrays["offsets"][1]]
    assert list(first) == sorted(events().filter(pl.col("user") == 0)["time"] + 0.25)


def test_whole_times_are_integers_only_if_all_files_have_whole_ones(tmp_path: Path) -> None:
    for number, part in enumerate(events().iter_slices(400)):
        as_written(part.with_columns(pl.col("time") + (0.5 if number == 1 else 0)), tmp_path / f"part-{number}.parquet")
    prepare_into(tmp_path / "prepared", str(tmp_path / "part-*.parquet"))
    assert np.load(tmp_path / "prepared" / "event_times.npy").dtype == np.float64


def test_a_log_without_times_has_no_file_of_them(tmp_path: Path) -> None:
    prepare_into(tmp_path / "prepared", str(as_written(events().drop("time"), tmp_path / "log.csv")))
    assert not (tmp_path / "prepared" / "event_times.npy").exists()
    assert not prepare(Recipe(data=str(tmp_path / "prepared"))).log.sequences.has_times


def test_mapped_times_reach_a_batch(tmp_path: Path) -> None:
    prepare_into(tmp_path / "prepared", str(as_written(events(), tmp_path / "log.csv")))
    histories = prepare(Recipe(data=str(tmp_path / "prepared"))).split.test.histories
    batch = NextItem(maximum_length=4).query(histories.select(torch.arange(2)))
    plain = prepare(Recipe(data=str(tmp_path / "log.csv"))).split.test.histories
    expected = NextItem(maximum_length=4).query(plain.select(torch.arange(2))).times_BL
    assert batch.times_BL is not None
    assert expected is not None
    assert torch.equal(batch.times_BL, expected)


def test_what_was_read_of_the_events_is_released(tmp_path: Path) -> None:
    prepare_into(tmp_path / "prepared", str(as_written(events(), tmp_path / "log.csv")))
    train = prepare(Recipe(data=str(tmp_path / "prepared"))).split.train
    assert train.events.items.dtype == torch.int32
    released: list[int] = []
    object.__setattr__(train.events, "release", lambda: released.append(1))
    wanted: Tensor = train.at(train.starts_U)
    assert wanted.dtype == torch.int64
    assert released == [1]


BAD = {
    "missing": ("", "is missing"),
    "blank": ("  ", "is blank"),
    "time": ("soon", "is not a time"),
    "late": ("99999999999999", "lies outside the years"),
}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("kind", BAD)
def test_bad_rows_are_named_and_counted_over_all_parts(kind: str, ending: str, tmp_path: Path) -> None:
    value, problem = BAD[kind]
    column = "time" if kind in ("time", "late") else "user"
    is_bad = pl.int_range(pl.len()).is_in([120, 121, 330, 555, 800, 801, 802])
    text = events().with_columns(pl.col(column).cast(pl.String))
    bad = None if kind == "missing" and ending == ".parquet" else value
    table = text.with_columns(pl.when(is_bad).then(pl.lit(bad, pl.String)).otherwise(column).alias(column))
    file = as_written(table, tmp_path / f"log{ending}")
    with pytest.raises(DataError) as eager:
        read_interactions(file)
    with pytest.raises(DataError) as streamed:
        prepare_into(tmp_path / "prepared", str(file))
    assert str(streamed.value) == str(eager.value)
    assert "(7 such rows: " in str(streamed.value)
    assert kind == "missing" or problem in str(streamed.value)
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


def test_uneven_lines_are_counted_over_all_parts(tmp_path: Path) -> None:
    lines = as_written(events(), tmp_path / "log.csv").read_text().splitlines()
    for row in (200, 400, 700):
        lines[row - 1] += ",extra"
    (tmp_path / "log.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"log.csv:200: .* has 4 fields .*\(3 such rows: 200, 400, 700\)"):
        prepare_into(tmp_path / "prepared", str(tmp_path / "log.csv"))


def test_the_first_time_of_the_file_decides_how_times_are_written(tmp_path: Path) -> None:
    times = ["5"] * 600 + ["2024-01-31"] * 300
    file = as_written(events().with_columns(time=pl.Series(times)), tmp_path / "log.csv")
    with pytest.raises(DataError, match=r"log.csv:602:time: '2024-01-31' is a date where.*\(300 such rows"):
        prepare_into(tmp_path / "prepared", str(file))


def test_other_filters_than_the_folder_was_made_with_are_refused(tmp_path: Path) -> None:
    folder = str(tmp_path / "prepared")
    file = as_written(events().rename({"user": "who"}), tmp_path / "log.csv")
    prepare_into(tmp_path / "prepared", str(file), ["filters.minimum_per_user=3", "columns.user=who"])
    same = Recipe(data=folder, filters=Filters(minimum_per_user=3), columns=Columns(user="who"))
    assert len(prepare(same).log.users) == len(prepare(Recipe(data=folder)).log.users)
    with pytest.raises(ConfigurationError, match=r"was prepared with filters .*leave filters out"):
        prepare(Recipe(data=folder, filters=Filters(minimum_per_user=5)))
    with pytest.raises(ConfigurationError, match="was prepared with columns"):
        prepare(Recipe(data=folder, columns=Columns(user="whom")))


class Otherwise(LeaveOneOut):
    """Another split, which no folder was prepared for."""

    facts: ClassVar[list[SplitFacts | None]] = []

    def split(self, sequences: Sequences, facts: SplitFacts | None = None) -> Split:
        self.facts.append(facts)
        return super().split(sequences, facts)


def test_a_folder_can_be_split_in_another_way_than_it_was_prepared_for(tmp_path: Path) -> None:
    prepare_into(tmp_path / "prepared", str(as_written(events(), tmp_path / "log.csv")))
    _, parts, manifest = read_prepared(tmp_path / "prepared", Otherwise())
    assert Otherwise.facts == [None]  # what is stored is of leave-one-out, and this is not
    assert manifest.split == LeaveOneOut()
    assert parts.train.counts().sum() > 0


@pytest.mark.parametrize("split", [Temporal(), Temporal(validation="users", target="all"), Users()], ids=repr)
def test_a_folder_is_prepared_for_any_split_and_its_cuts_are_stored(
    split: AnySplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, folder = as_written(events(), tmp_path / "log.csv"), tmp_path / "prepared"
    overrides = [f"split.{key}={value}" for key, value in split.model_dump().items() if value is not None]
    prepare_into(folder, str(file), [f"split={split.name}", *overrides])
    raw = prepare(Recipe(data=str(file), split=split))
    assert (read_manifest(folder).split, read_manifest(folder).cuts) == (split, raw.split.cuts)
    assert verify(folder).split == split
    monkeypatch.setattr("nextitem.data.splits.moments.span", None)  # what reads the times of all events
    stored = prepare(Recipe(data=str(folder), split=split))
    assert_equal(raw, stored)
    assert stored.split.cuts == raw.split.cuts


def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    prepare_into(folder, str(as_written(events(), tmp_path / "log.csv")))
    assert verify(folder) == read_manifest(folder)
    with pytest.raises(ConfigurationError, match="exists already"):
        prepare_into(folder, str(tmp_path / "log.csv"))
    content = (folder / "event_items.npy").read_bytes()
    (folder / "event_items.npy").write_bytes(content[:-1] + b"\1")
    read_manifest(folder)
    for read in (verify, lambda folder: prepare(Recipe(data=str(folder)))):
        with pytest.raises(ArtefactError, match=r"event_items.npy was altered: its sha256"):
            read(folder)
    (folder / "event_items.npy").write_bytes(content[:-4])
    with pytest.raises(
        ArtefactError, match=r"event_items.npy was altered: it has 3,724 bytes and manifest.json says 3,728"
    ):
        prepare(Recipe(data=str(folder)))
    (folder / "event_items.npy").unlink()
    with pytest.raises(ArtefactError, match=r"event_items\.npy is missing; restore it or prepare"):
        prepare(Recipe(data=str(folder)))
    manifest = json.loads((folder / "manifest.json").read_text())
    for change, message in (
        ({"version": 1}, "an older format: it has version 1, and this nextitem reads version 2; prepare the log anew"),
        ({"format": "run"}, "is not a prepared log but a run"),
    ):
        (folder / "manifest.json").write_text(json.dumps(manifest | change))
        with pytest.raises(ArtefactError, match=message):
            prepare(Recipe(data=str(folder)))


@pytest.mark.parametrize(
    ("overrides", "kind", "message"),
    [
        (["filters.minimum_per_user=999"], DataError, "the filters leave none of"),
        (["training.epochs=3"], ConfigurationError, "training"),
    ],
)
def test_nothing_is_left_of_what_fails(
    overrides: list[str], kind: type[NextitemError], message: str, tmp_path: Path
) -> None:
    file = as_written(events(), tmp_path / "log.csv")
    with pytest.raises(kind, match=message):
        prepare_into(tmp_path / "prepared", str(file), overrides)
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    file = as_written(events(), tmp_path / "log.csv")
    with pytest.raises(StorageError, match="cannot write"):
        prepare_into(file / "prepared", str(file))


def test_parts_of_a_file_are_its_events(tmp_path: Path) -> None:
    file = as_written(events(), tmp_path / "log.csv")
    parts = list(read_parts(file, events=50))
    assert len(parts) > 1
    assert pl.concat([part.user for part in parts]).cast(pl.Int64).to_list() == events()["user"].to_list()
    (tmp_path / "empty.csv").write_text("user,item\n")
    with pytest.raises(DataError, match="has a header and no events"):
        list(reading.read_parts(tmp_path / "empty.csv"))


def test_of_many_files_the_first_are_named(tmp_path: Path) -> None:
    for number, part in enumerate(events(1200).iter_slices(100)):
        as_written(part, tmp_path / f"{number:02}.csv")
    manifest = prepare_into(tmp_path / "prepared", str(tmp_path / "*.csv"))
    assert manifest.notes[-1] == (
        "12 files are one log, in this order: 00.csv, 01.csv, 02.csv, 03.csv, 04.csv, 05.csv, 06.csv, 07.csv, 08.csv, "
        "09.csv and 2 more"
    )
    assert prepare(Recipe(data=str(tmp_path / "prepared"))).notes == manifest.notes
    assert len(manifest.source) == 12

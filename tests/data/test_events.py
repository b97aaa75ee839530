"""Events keep their times from every reader to every view, to the last bit; who does not ask for them pays nothing."""

from pathlib import Path

import polars as pl
import pytest
import torch
from torch import Tensor, tensor

from nextitem.data.events import Events
from nextitem.data.filters import Filters
from nextitem.data.interactions import Interactions
from nextitem.data.log import index
from nextitem.data.prepare import prepare
from nextitem.data.reading.files import read_interactions
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.experiment.recipe import Recipe

MOMENT = 1_714_567_890  # a second of May 2024


def times_of(sequences: Sequences) -> list[list[float]]:
    """When the events of each view happened."""
    views = zip(sequences.starts_U.tolist(), sequences.stops_U.tolist(), strict=True)
    return [sequences.events.times_at(torch.arange(start, stop)).tolist() for start, stop in views]


def test_times_stand_beside_the_items_in_the_order_of_time() -> None:
    log = index(Interactions.from_columns(["bob", "ann", "ann"], ["x", "y", "x"], [7, 9, 8]))
    assert log.sequences.tolist() == [[0, 1], [0]]
    assert times_of(log.sequences) == [[8, 9], [7]]


@pytest.mark.parametrize(
    ("times", "kind"),
    [
        ([MOMENT, MOMENT + 1, MOMENT + 2], torch.int64),
        ([MOMENT + 0.25, MOMENT + 1, MOMENT + 2], torch.float64),
        (pl.Series([1, 2, 3], dtype=pl.UInt16), torch.int64),
        (pl.Series([0.5, 1.0, 2.0], dtype=pl.Float32), torch.float64),
    ],
)
def test_whole_seconds_are_integers_and_others_are_doubles(times: list[float] | pl.Series, kind: torch.dtype) -> None:
    sequences = index(Interactions.from_columns(["ann"] * 3, ["x", "y", "z"], times)).sequences
    assert sequences.events.times is not None
    assert sequences.events.times.dtype == kind
    assert times_of(sequences) == [list(times)]


def test_seconds_beyond_64_bits_are_refused() -> None:
    with pytest.raises(DataError, match="column 'time' has integers of 2⁶³ or more; times are in unix seconds"):
        Interactions.from_columns(["ann"], ["x"], pl.Series([2**63], dtype=pl.UInt64))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv", f"user,item,time\nann,x,{MOMENT}\nann,y,{MOMENT + 60}\n"),
        ("log.csv", "user,item,time\nann,x,2024-05-01T12:51:30Z\nann,y,2024-05-01 12:52:30Z\n"),
        ("log.tsv", f"user\titem\ttime\nann\tx\t{MOMENT}\nann\ty\t{MOMENT + 60}\n"),
        ("log.inter", f"user_id:token\titem_id:token\ttimestamp:float\nann\tx\t{MOMENT}\nann\ty\t{MOMENT + 60}\n"),
        ("log.dat", f"ann::x::5::{MOMENT}\nann::y::3::{MOMENT + 60}\n"),
    ],
)
def test_times_survive_every_reader(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert times_of(index(read_interactions(tmp_path / name)).sequences) == [[MOMENT, MOMENT + 60]]


def test_times_survive_parquet_with_dates(tmp_path: Path) -> None:
    table = pl.DataFrame({"user": ["ann"], "item": ["x"], "time": pl.from_epoch(pl.Series([MOMENT]))})
    table.write_parquet(tmp_path / "log.parquet")
    assert times_of(index(read_interactions(tmp_path / "log.parquet")).sequences) == [[MOMENT]]


def test_pairs_without_times_have_none_and_whoever_asks_is_told(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("1 5\n1 6\n1 7\n")
    sequences = index(read_interactions(tmp_path / "log.txt")).sequences
    assert not sequences.has_times
    with pytest.raises(DataError, match="the log has no times; give events with a column of times, or do without"):
        sequences.events.times_at(tensor([0]))


def test_times_follow_the_events_through_filters_and_split(tmp_path: Path) -> None:
    rows = "".join(f"{user},{item},{time}\n" for user in ("ann", "bob") for time, item in enumerate("abac", 10))
    (tmp_path / "log.csv").write_text(f"user,item,time\n{rows}cia,d,1\n")
    filters = Filters(repeats="first", minimum_per_item=2)
    split = prepare(Recipe(data=str(tmp_path / "log.csv"), filters=filters)).split
    assert times_of(split.train) == [[10], [10]]  # a; b at 11 is validated, c at 13 tested; the second a is left out
    assert times_of(split.validation.histories) == [[10], [10]]
    assert times_of(split.test.histories) == [[10, 11], [10, 11]]
    assert split.test.histories.events is split.train.events


def test_a_fingerprint_knows_the_order_of_events_and_their_times_where_it_is_asked() -> None:
    columns = (["ann", "ann"], ["x", "y"])
    logs = [index(Interactions.from_columns(*columns, times)) for times in (None, [1, 2], [0.5, 9.0])]
    assert len({log.sha256() for log in logs}) == 1
    assert len({log.sha256(with_times=True) for log in logs[1:]} | {logs[0].sha256()}) == 3
    assert not logs[0].sequences.has_times


def test_who_does_not_ask_when_gets_the_same_events_without_times() -> None:
    sequences = Sequences.of([[1, 2], [3]], 4, times=[[5, 6], [7]])
    plain = sequences.without_times()
    assert not plain.has_times
    assert plain.events.items is sequences.events.items
    assert plain.without_times().events is plain.events


def test_a_mapped_column_is_released_after_each_reading() -> None:
    released: list[int] = []
    events = Events(tensor([1, 2], dtype=torch.int32), 3, tensor([0.5, 1.5]).double(), lambda: released.append(1))
    assert events.is_mapped
    found: Tensor = events.items_at(tensor([[1], [0]]))
    assert (found.tolist(), found.dtype) == ([[2], [1]], torch.int64)
    assert (events.times_at(tensor([1])).tolist(), len(released)) == ([1.5], 2)


def test_times_cost_eight_bytes_an_event() -> None:
    events = index(Interactions.from_columns(["ann"] * 100, list(range(100)), list(range(100)))).sequences.events
    assert events.times is not None
    assert events.times.untyped_storage().nbytes() == 8 * 100

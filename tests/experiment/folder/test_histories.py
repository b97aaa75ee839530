"""Histories as they are stored with a run, and as they are found again."""

from pathlib import Path

import polars as pl
import pytest
import torch

from nextitem.data.interactions import Interactions
from nextitem.data.log import Log, index
from nextitem.experiment.folder.histories import histories_of, stored_users

ITEMS = ["a", "b", "c"]


def log_of(*times: float) -> Log:
    """A user with two events and one with a single one."""
    return index(Interactions.from_columns(["u", "u", "v"], ITEMS, times or None))


def found(log: Log, file: Path, *, with_times: bool) -> pl.DataFrame:
    """What is in the file that is written of a log."""
    stored_users(log, with_times=with_times).sink_parquet(file)
    return pl.read_parquet(file)


@pytest.mark.parametrize(("times", "kind"), [((5, 7, 6), torch.int64), ((5.5, 7.25, 6.0), torch.float64)])
def test_histories_and_times_are_found_as_the_log_has_them(
    times: tuple[float, ...], kind: torch.dtype, tmp_path: Path
) -> None:
    users = found(log_of(*times), tmp_path / "users.parquet", with_times=True)
    assert users["user"].to_list() == ["u", "v"]
    again = histories_of(users, len(ITEMS))
    assert (again.tolist(), again.number_of_items) == ([[0, 1], [2]], 3)
    assert again.events.times is not None
    assert (again.events.times.tolist(), again.events.times.dtype) == (list(times), kind)


def test_who_reads_no_times_stores_none(tmp_path: Path) -> None:
    users = found(log_of(5, 7, 6), tmp_path / "users.parquet", with_times=False)
    assert users.columns == ["user", "history"]
    assert not histories_of(users, len(ITEMS)).has_times


def test_a_log_without_times_has_none_to_store(tmp_path: Path) -> None:
    assert found(log_of(), tmp_path / "users.parquet", with_times=True).columns == ["user", "history"]


def test_no_users_have_no_histories(tmp_path: Path) -> None:
    users = found(log_of(5, 7, 6), tmp_path / "users.parquet", with_times=True).clear()
    assert histories_of(users, len(ITEMS)).tolist() == []

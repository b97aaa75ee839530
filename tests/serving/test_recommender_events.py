"""New events as a frame are histories with their users and times: lists in the order in which users first appear."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.serving.recommender import Recommender
from worlds.small_runs import RECIPES, metrics, outcome

NEW = {
    "user": ["u03", "new", "u01", "new", "u03"],
    "item": ["i01", "i02", "i03", "i04", "i05"],
    "time": [9, 8, 7, 6, 5],
}
LISTS = {"u03": ["i05", "i01"], "new": ["i04", "i02"], "u01": ["i03"]}
TIMES = [[5, 9], [6, 8], [7]]


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender.from_outcome(outcome("sasrec-ce"))


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.table])
@pytest.mark.parametrize("histories_only", [True, False])
def test_a_frame_is_answered_as_the_histories_in_it(recommender: Recommender, make: Any, histories_only: bool) -> None:
    lists = [*LISTS.values()]
    expected = recommender.recommend(lists, 3, times=TIMES, users=[*LISTS], histories_only=histories_only)
    assert recommender.recommend(events=make(NEW), k=3, histories_only=histories_only) == expected


def test_files_and_interactions_are_answered_too(recommender: Recommender, tmp_path: Path) -> None:
    pl.DataFrame(NEW).write_csv(tmp_path / "today.csv")
    expected = recommender.recommend(events=pl.DataFrame(NEW))
    assert recommender.recommend(events=tmp_path / "today.csv") == expected
    assert recommender.recommend(events=read_interactions(tmp_path / "today.csv")) == expected


def test_columns_are_called_as_in_the_log_that_was_learnt_from(recommender: Recommender) -> None:
    expected = recommender.recommend(events=pl.DataFrame(NEW))
    other = pl.DataFrame(NEW).rename({"user": "who", "item": "what", "time": "when"})
    with pytest.raises(DataError, match="frame: there is no column 'user'"):
        recommender.recommend(events=other)
    renamed = Recommender(replace(recommender.known, columns=Columns(user="who", item="what", time="when")))
    assert renamed.recommend(events=other) == expected
    with pytest.raises(DataError, match="the model learnt from events in the order of 'when', and frame has no column"):
        renamed.recommend(events=other.drop("when"))


def test_a_run_without_users_goes_by_the_events_alone(tmp_path: Path) -> None:
    name, place = "sasrec-ce", Workplace(tmp_path, "small", 0)
    folder = write_run(place, RECIPES[name], outcome(name), metrics(name), with_users=False)
    stored = Recommender.load(folder)
    assert stored.recommend(events=pl.DataFrame(NEW), k=4) == stored.recommend([*LISTS.values()], 4)


def test_events_stand_for_themselves(recommender: Recommender) -> None:
    for others in ({"users": ["u01"]}, {"histories": [["i01"]]}, {"histories": [["i01"]], "times": [[1]]}):
        with pytest.raises(ConfigurationError, match="events have their users and times; leave histories, times and"):
            recommender.recommend(events=pl.DataFrame(NEW), **others)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"item 'x' \(history 1, event 1\) is not among"):
        recommender.recommend(events=pl.DataFrame({"user": ["u01"], "item": ["x"]}))
    unknown = pl.DataFrame({"user": ["new"], "item": ["x"]})
    assert recommender.recommend(events=unknown, unknown="drop")[0][0].source == "popularity"

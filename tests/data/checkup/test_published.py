"""Published logs show what is known of them."""

from pathlib import Path

import pytest

from nextitem.data.checkup.examination import Examination, examine
from nextitem.data.checkup.finding import Severity
from nextitem.experiment.recipe import Recipe


def found_in(folder: Path, name: str) -> Examination:
    if not (folder / name).is_file():
        pytest.skip(f"there is no {name} in the folder that NEXTITEM_DATA names")
    return examine(Recipe(data=str(folder / name))).found


def test_beauty_has_the_published_core_and_a_tenth_of_cold_targets(data_folder: Path) -> None:
    found = found_in(data_folder, "beauty.txt.gz")
    assert (found.size.users, found.size.items, found.size.events) == (40_226, 54_542, 353_962)
    assert (found.minima.users, found.minima.items, found.minima.events) == (22_363, 12_101, 198_502)
    assert round(found.splits[0].cold, 4) == 0.0999
    assert round(found.splits[0].ceiling, 4) == 0.9001


def test_of_movielens_1m_a_third_of_the_targets_is_left_out_at_200(data_folder: Path) -> None:
    found = found_in(data_folder, "ml-1m.txt.gz")
    assert found.windows is not None
    assert round(found.windows.at(200).lost, 3) == 0.340
    assert found.findings["windows"].severity is Severity.NOTE


def test_of_movielens_100k_the_last_event_is_arbitrary_for_44_percent(data_folder: Path) -> None:
    found = found_in(data_folder, "ml-100k.inter.gz")
    assert found.ties is not None
    assert (found.ties.tied, round(found.ties.share_of_ends, 2)) == (75_772, 0.44)
    assert found.findings["ties"].severity is Severity.WARNING
    assert found.leak is not None
    assert found.leak.is_large

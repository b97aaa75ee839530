"""What the pages about studies say alike."""

from nextitem.data.datasets import DATASETS
from nextitem.report.studies.words import measured_on, title_of, where_made
from nextitem.studies.comparison import Comparison


def test_a_dataset_is_called_by_its_title_and_anything_else_by_its_own_name() -> None:
    assert title_of("ml-1m") == "MovieLens-1M"
    assert [title_of(name) for name in DATASETS] == [description.title for description in DATASETS.values()]
    assert [title_of(name) for name in ("synthetic", "events.csv")] == ["synthetic", "events.csv"]


def test_without_a_run_there_is_nothing_to_tell_of_where_it_was_made() -> None:
    nothing = Comparison((), "sasrec-ce", (), {})
    assert measured_on(nothing) == "No run was finished."
    assert where_made(nothing) == []

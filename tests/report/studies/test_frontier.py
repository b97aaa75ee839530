"""Quality by seconds: who is the best in a given time, and every name where it can be read."""

from nextitem.report.studies.frontier import Timed, best_within, frontier
from nextitem.report.studies.points import Point


def timed(seconds: float, value: float) -> Timed:
    return Timed(seconds, Point(value, value - 0.01, value + 0.01))


ROWS = {"popularity": timed(0.02, 0.03), "sasrec-bce": timed(900, 0.13), "sasrec-ce": timed(800, 0.18)}


def test_who_is_slower_and_no_better_is_not_among_the_best() -> None:
    assert best_within(ROWS) == ["popularity", "sasrec-ce"]
    assert best_within({"one": timed(1, 0.1), "other": timed(1, 0.2)}) == ["other"]
    assert best_within({}) == []


def test_every_row_and_every_published_point_is_named_once() -> None:
    figure = frontier(ROWS, {"sasrec-ce": (540, 0.1821)}, {"ICSRec": 0.2007}, "MovieLens-1M")
    (axes,) = figure.axes
    named = [text.get_text() for text in axes.texts]
    assert sorted(named[:-1]) == ["ICSRec", "popularity", "sasrec-bce", "sasrec-ce", "sasrec-ce"]
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["0.01 s", "0.1 s", "1 s", "10 s", "1 min", "10 min", "1 h"]
    assert axes.get_xscale() == "log"
    near = frontier({"sasrec-ce": timed(300, 0.18), "gold": timed(2000, 0.19)}, {}, {}, "MovieLens-1M")
    ticks = [tick.get_text() for tick in near.axes[0].get_xticklabels()]
    assert ticks == ["5 min", "10 min", "20 min", "30 min"]


def test_names_of_near_marks_do_not_lie_on_each_other() -> None:
    rows = {f"recipe-{number}": timed(100 + number, 0.1 + 0.001 * number) for number in range(4)}
    figure = frontier(rows, {}, {}, "Beauty")
    boxes = [text.get_window_extent() for text in figure.axes[0].texts[:4]]
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])

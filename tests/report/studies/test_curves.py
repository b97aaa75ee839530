"""Figures of runs show every run, its best epoch and its labels, apart from each other."""

from itertools import combinations

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from nextitem.report.look import as_svg
from nextitem.report.studies.curves import Curve, by_negatives, convergence, loss_panels
from nextitem.report.studies.points import Point

NAMES = ("sasrec-bce", "sasrec-ce", "sasrec-3000", "bert4rec")


def curve(name: str, epochs: int, level: float, best: int = 2) -> Curve:
    values = [level * (epoch + 1) / epochs for epoch in range(epochs)]
    return Curve(name, values, [2.0] * epochs, [5 - value for value in values], [6.0 + value for value in values], best)


CURVES = [curve(name, 3 + place, 0.1 + 0.001 * place) for place, name in enumerate(NAMES)]
SWEPT = {1: Point(0.1, 0.09, 0.11), 10: Point(0.14, 0.13, 0.15), 3000: Point(0.18, 0.17, 0.19)}


def negatives() -> Figure:
    return by_negatives(SWEPT, Point(0.178, 0.17, 0.185), {"bert4rec": 0.15, "sasrec-bce": 0.151}, "Data")


def labels(axes: Axes) -> list[Annotation]:
    return [text for text in axes.texts if isinstance(text, Annotation)]


@pytest.mark.parametrize("figure", [convergence(CURVES, "Data"), negatives()])
def test_labels_do_not_lie_on_each_other_and_stay_in_the_picture(figure: Figure) -> None:
    as_svg(figure)
    for axes in figure.axes:
        extents = [label.get_window_extent() for label in labels(axes)]
        assert extents
        assert not any(first.overlaps(second) for first, second in combinations(extents, 2))
        assert all(figure.bbox.x0 <= extent.x0 and extent.x1 <= figure.bbox.x1 + 1 for extent in extents)


def test_quality_is_shown_by_cumulated_seconds_and_by_epoch() -> None:
    by_seconds, epochs = convergence(CURVES, "Data").axes
    line = by_seconds.lines[0]
    assert list(line.get_xdata()) == [2.0, 4.0, 6.0]
    assert list(line.get_ydata()) == list(CURVES[0].values)
    assert list(epochs.lines[0].get_xdata()) == [1, 2, 3]
    assert [float(epochs.lines[1].get_xdata()[0]), float(epochs.lines[1].get_ydata()[0])] == [2, CURVES[0].values[1]]


def test_the_number_of_negatives_is_a_log_axis_with_the_whole_catalogue_behind() -> None:
    (axes,) = negatives().axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "10", "3k", "all"]
    assert {label.get_text() for label in labels(axes)} == {"BERT4Rec", "SASRec", "SASRec+"}


def test_a_panel_marks_the_lowest_validation_loss() -> None:
    figure = loss_panels([curve("sasrec-ce", 5, 0.2)], "Data")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["SASRec+: lowest at 1"]


def test_a_run_without_validation_losses_has_no_panel() -> None:
    without = Curve("sasrec-ce", [0.1], [1.0], [5.0], [None], 1)
    assert not [axes for axes in loss_panels([without], "Data").axes if axes.get_visible()]


def test_values_that_are_all_zero_are_drawn_without_a_warning() -> None:
    nothing = Curve("sasrec-ce", [0.0, 0.0], [0.0, 0.0], [5.0, 5.0], [6.0, 6.0], 1)
    figures = (convergence([nothing], "Data"), by_negatives({1: Point(0.0, 0.0, 0.0)}, None, {}, "Data"))
    for figure in figures:
        as_svg(figure)
        assert all(axes.get_ylim() == (0, 1) for axes in figure.axes)

"""Figures of studies and of orders: what is in them, and that nothing is drawn over another."""

from itertools import pairwise

import pytest
from matplotlib.figure import Figure

from nextitem.report.look import as_svg
from nextitem.report.studies.orders import orders
from nextitem.report.studies.points import Point
from nextitem.report.studies.sweeps import Panel, curve, dots

PLACES = {"1 layer": 1.0, "2 layers": 2.0, "4 layers": 4.0}
POINTS = {label: Point(place / 10, place / 10 - 0.01, place / 10 + 0.01) for label, place in PLACES.items()}


def swept() -> Figure:
    full = Panel("full", {**POINTS, "SASRec": Point(0.3, 0.28, 0.32)})
    sampled = Panel("sampled", POINTS, published={"1 layer": 0.5, "4 layers": 0.45})
    return curve([full, sampled], PLACES, "layers", "2 layers", log=True)


def test_a_curve_has_each_value_at_its_place_and_published_ones_in_their_own_panel() -> None:
    full, sampled = swept().axes
    (values,) = (line for line in full.lines if line.get_marker() == "o" and len(line.get_xdata()) > 1)
    assert list(values.get_xdata()) == [1.0, 2.0, 4.0]
    assert list(values.get_ydata()) == pytest.approx([0.1, 0.2, 0.4])
    assert (0.5, 0.45) not in [tuple(line.get_ydata()) for line in full.lines]
    assert (0.5, 0.45) in [tuple(line.get_ydata()) for line in sampled.lines]
    assert [text.get_text() for text in full.texts] == ["SASRec"]
    assert {text.get_text() for text in sampled.texts} == {"published", "here"}
    assert [label.get_text() for label in full.get_xticklabels()] == ["1", "2", "4"]


def test_rows_without_order_are_dots_whose_shapes_tell_better_from_worse() -> None:
    standings = {"1 layer": "worse", "2 layers": "base", "4 layers": "better"}
    panel = Panel("full", POINTS, standings)  # type: ignore[arg-type]
    (axes,) = dots([panel], list(PLACES), "2 layers").axes
    markers = {line.get_marker(): float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() in "<>s"}
    assert markers == {"<": 0.1, "s": 0.2, ">": 0.4}
    legend = axes.get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {"worse", "base", "better"}


@pytest.mark.parametrize("rows", [2, 9])
def test_the_legend_of_few_rows_does_not_lie_on_the_numbers(rows: int) -> None:
    points = {f"row {row}": Point(0.2, 0.1, 0.3) for row in range(rows)}
    figure = dots([Panel("full", points, {"row 0": "base"})], list(points), "row 0")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    legend = axes.get_legend().get_window_extent()
    assert all(legend.y1 <= label.get_window_extent().y0 for label in axes.get_xticklabels())
    assert legend.y0 >= 0


def test_orders_have_the_best_on_top_and_cross_where_they_differ() -> None:
    full = {"sasrec-ce": 0.3, "bert4rec": 0.2, "popularity": 0.1}
    drawn = orders(full, {"uniform:100": {"sasrec-ce": 0.5, "bert4rec": 0.6, "popularity": 0.2}})
    (axes,) = drawn.axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[-1, -2], [-2, -1], [-3, -3]]


@pytest.mark.parametrize("figure", [swept, lambda: dots([Panel("full", POINTS)], list(PLACES), "2 layers")])
def test_equal_figures_are_equal_bytes(figure: object) -> None:
    assert callable(figure)
    assert as_svg(figure()) == as_svg(figure())


def test_panels_and_their_labels_do_not_touch() -> None:
    figure = swept()
    figure.draw_without_rendering()
    extents = [axes.get_tightbbox() for axes in figure.axes]
    assert all(above.y0 >= below.y1 for above, below in pairwise(extents) if above is not None and below is not None)

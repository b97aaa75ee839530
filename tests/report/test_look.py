"""Figures are the same bytes from the same numbers, and labels do not lie on each other."""

from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from nextitem.experiment.presets import preset_names
from nextitem.report.look import as_svg, canvas, colour_of, label_ends, label_of, line_of, look, spread, write_svg


def drawing() -> Figure:
    with look():
        figure, (axes,) = canvas(1)
        axes.plot([1, 2, 3], [0.1, 0.2, 0.15], **line_of("bert4rec"))
        label_ends(axes, [("BERT4Rec", 0.15, colour_of("bert4rec")), ("SASRec", 0.151, colour_of("sasrec-bce"))])
        return figure


def test_equal_figures_are_equal_bytes_and_a_figure_may_be_written_twice() -> None:
    figure = drawing()
    assert as_svg(figure) == as_svg(figure) == as_svg(drawing())


def test_a_drawing_tells_no_date() -> None:
    assert "<dc:date>" not in as_svg(drawing())


def test_outside_the_block_matplotlib_is_as_it_was() -> None:
    before = dict(mpl.rcParams)
    drawing()
    assert dict(mpl.rcParams) == before


def test_labels_of_neighbours_do_not_touch() -> None:
    figure = drawing()
    figure.draw_without_rendering()
    first, second = sorted(
        (text.get_window_extent() for text in figure.axes[0].texts), key=lambda extent: float(extent.y0)
    )
    assert first.y1 <= second.y0


def test_every_recipe_that_comes_along_is_told_apart_by_its_line() -> None:
    short = [name for name in preset_names() if "@" not in name]  # a versioned name says which paper, on a label
    lines = [tuple(line_of(name).values()) for name in short]
    assert len(set(lines)) == len(lines)


def test_an_unknown_recipe_keeps_its_name_and_always_has_the_same_colour() -> None:
    assert label_of("mine") == "mine"
    assert colour_of("mine") == colour_of("mine")


@given(
    st.lists(st.floats(0, 100), max_size=8).map(sorted),
    st.floats(0.5, 30),
)
def test_spread_keeps_the_order_and_the_gaps_and_stays_inside_while_there_is_room(
    places: list[float], gap: float
) -> None:
    moved = spread(places, gap, 0, 100)
    assert len(moved) == len(places)
    assert all(after - before >= gap - 1e-6 for before, after in pairwise(moved))
    if gap * (len(places) - 1) <= 100:
        assert all(-1e-6 <= place <= 100 + 1e-6 for place in moved)


def test_what_is_far_apart_stays_where_it_is() -> None:
    assert spread([1, 5, 9], 2, 0, 10) == [1, 5, 9]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"figure\.svg"):
        write_svg(drawing(), tmp_path / "no" / "figure.svg")


def test_a_label_from_elsewhere_steers_nothing_in_a_figure() -> None:
    with look():
        figure, (axes,) = canvas()
        axes.set_title("a\u202eb")
    text = as_svg(figure)
    assert r"a\u202eb" in text
    assert "\u202e" not in text

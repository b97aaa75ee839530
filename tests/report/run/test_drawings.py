"""The figures of a report hide nothing of what they show."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from nextitem.report import look
from nextitem.report.run.bands import rank_bands
from nextitem.report.run.drawings import loss_curves, rank_histogram
from worlds.parts import with_parts
from worlds.stored_runs import evidence, written


def test_no_legend_lies_on_the_losses(tmp_path: Path) -> None:
    figure = loss_curves(evidence(written(tmp_path, "sasrec-ce")))
    (axes,) = figure.axes
    assert axes.get_legend() is None  # a validation loss that rises ends in the corner where one would be
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation", "best epoch, 2"]


def test_an_epoch_that_is_kept_because_it_is_the_last_is_not_called_the_best(tmp_path: Path) -> None:
    run = evidence(written(tmp_path, "sasrec-ce"))
    training = run.recipe.sequence.training.model_copy(update={"patience": None})
    lasting = replace(run, run=replace(run.run, recipe=with_parts(run.recipe, training=training)))
    assert loss_curves(lasting).legends[0].get_texts()[-1].get_text() == "last epoch, 2"


def test_the_names_of_bands_do_not_touch() -> None:
    with look.look():
        bands = rank_bands(54_542)
        figure = rank_histogram(bands, [("one", {"color": look.BLUE}, [1 / len(bands)] * len(bands))])
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(boxes) == len(bands)
    assert all(left.x1 + 2 < right.x0 for left, right in pairwise(boxes))


def test_where_no_target_can_be_hit_the_picture_is_drawn_without_a_warning() -> None:
    with look.look():
        bands = rank_bands(10)
        figure = rank_histogram(bands, [("one", {"color": look.BLUE}, [0.0] * len(bands))])
        figure.draw_without_rendering()
    assert figure.axes[0].get_ylim() == (0, 1)

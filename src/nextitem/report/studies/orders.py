"""A figure of orders: the place of every model by each kind of ranking, joined by lines that cross where orders do."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from nextitem.report.look import INK, MUTED, canvas, colour_of, darker, label_of, line_of, look


def orders(full: Mapping[str, float], sampled: Mapping[str, Mapping[str, float]]) -> Figure:
    """Places by full ranking on the left, and by each kind of candidates to its right; 1 is best and on top."""
    kinds = {"full": full, **{text.replace(":", "\n"): values for text, values in sampled.items()}}
    ranked = {kind: sorted(values, key=lambda model: -values[model]) for kind, values in kinds.items()}
    with look():
        figure, (axes,) = canvas(height=1.0 + 0.36 * len(full))
        last = len(kinds) - 1
        for model in full:
            recipe = model.partition(",")[0]  # without the seed
            places = [-1 - order.index(model) for order in ranked.values()]
            axes.plot(range(len(kinds)), places, **line_of(recipe), marker="o", markersize=7)
            axes.annotate(
                f"{_shown(model)}  ", (0, places[0]), ha="right", va="center", color=darker(colour_of(recipe)),
                annotation_clip=False,
            )  # fmt: skip
            for column, (values, place) in enumerate(zip(kinds.values(), places, strict=True)):
                shift = (0, 7) if column < last else (9, 0)
                axes.annotate(
                    f"{values[model]:.4f}", (column, place), shift, textcoords="offset points", fontsize=8.5,
                    ha="center" if column < last else "left", va="bottom" if column < last else "center", color=MUTED,
                    annotation_clip=False,
                )  # fmt: skip
        axes.set_xticks(range(len(kinds)), list(kinds))
        axes.xaxis.tick_top()
        axes.tick_params(axis="x", length=0, labelcolor=INK)
        axes.set_yticks([])
        axes.set_ylim(-len(full) - 0.5, -0.4)
        axes.margins(x=0.06)
        for side in axes.spines.values():
            side.set_visible(False)
        return figure


def _shown(model: str) -> str:
    recipe, comma, seed = model.partition(",")
    return label_of(recipe) + comma + seed

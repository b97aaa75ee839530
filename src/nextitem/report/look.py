"""How every figure looks: colours that stay apart for colour-blind readers, type that a phone can show, the same bytes
from the same numbers.

    with look():
        figure, (axes,) = canvas(1)
        axes.plot(epochs, values, **line_of("bert4rec"))
        label_ends(axes, [("BERT4Rec", values[-1], colour_of("bert4rec"))])
        write_svg(figure, file)
"""

import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from nextitem.storage import write_text
from nextitem.words import visible

# M. Okabe and K. Ito, Color Universal Design (2008), without yellow, which white paper swallows.
BLUE, GREEN, ORANGE, RED, PINK, SKY = "#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#56B4E9"
INK, MUTED, FAINT = "#222222", "#6B6B6B", "#E3E3E3"
PALETTE = (BLUE, RED, GREEN, PINK, ORANGE, SKY)
# What readers call a recipe, and its line. Dash patterns tell lines apart without colour, in print.
_RECIPES: dict[str, tuple[str, str, Any]] = {
    "sasrec-ce": ("SASRec+", BLUE, "-"),
    "sasrec-3000": ("SASRec+ 3000", GREEN, (0, (6, 1.5))),
    "bert4rec": ("BERT4Rec", RED, "-"),
    "sasrec-bce": ("SASRec", PINK, (0, (1.4, 1.2))),
    "gru4rec": ("GRU4Rec", ORANGE, (0, (2.6, 1.2))),
    "gpt2": ("GPT-2", SKY, "-"),
    "ligr": ("LiGR", BLUE, (0, (4, 1.2, 1.2, 1.2))),
    "gold": ("Gold", ORANGE, "-"),
    "sasrec-fast": ("SASRec+ fast", BLUE, (0, (1.4, 1.2))),
    "caser": ("Caser", SKY, (0, (1.4, 1.2))),
    "bpr-mf": ("BPR-MF", MUTED, (0, (2.6, 1.2))),
    "fpmc": ("FPMC", MUTED, (0, (4, 1.2, 1.2, 1.2))),
    "ncf": ("NCF", MUTED, (0, (6, 1.5))),
    "co-occurrence": ("Co-occurrence", MUTED, "-"),
    "popularity": ("Popularity", MUTED, (0, (1.4, 1.2))),
    "recent-popularity": ("Recent popularity", MUTED, (0, (1.4, 2.8))),
    "item-knn": ("Item-kNN", GREEN, (0, (1.4, 1.2))),
    "vsknn": ("V-SKNN", ORANGE, (0, (1.4, 1.2))),
    "ease": ("EASE", GREEN, (0, (4, 1.2, 1.2, 1.2))),
}
WIDTH, HEIGHT = 4.8, 3.3  # inches; a phone shows 4.8 of them at three quarters of their size
_SETTINGS: Any = {  # matplotlib's own type spells out every key
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "ytick.major.size": 0,
    "text.color": INK,
    "lines.linewidth": 1.9,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "svg.hashsalt": "nextitem",  # otherwise the ids of every drawing are drawn at random
    "svg.fonttype": "path",  # text as shapes: no reader's fonts make labels collide
}


@contextmanager
def look() -> Iterator[None]:
    """Figures that are made, filled and written inside the block look like all others; nothing is changed outside."""
    with mpl.rc_context(_SETTINGS):
        yield


def canvas(
    rows: int = 1, *, columns: int = 1, width: float = WIDTH, height: float = HEIGHT
) -> tuple[Figure, list[Axes]]:
    """A figure of that width with `rows` × `columns` panels, a row `height` inches high, and their axes row by row."""
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, 1 + panel) for panel in range(rows * columns)]


def label_of(recipe: str) -> str:
    """What readers call a recipe; one that has no such name keeps its own."""
    return _RECIPES[recipe][0] if recipe in _RECIPES else recipe


def name_of_metric(metric: str) -> str:
    """A metric as readers write it."""
    return metric.replace("hit_rate", "HR").replace("ndcg", "NDCG").replace("mrr", "MRR")


def colour_of(recipe: str) -> str:
    """The colour of a recipe wherever it appears."""
    return str(line_of(recipe)["color"])


def line_of(recipe: str) -> dict[str, Any]:
    """Colour and dashes of a recipe's line, as keywords of `Axes.plot`; an unknown one's follow from its name."""
    if recipe in _RECIPES:
        _, colour, dashes = _RECIPES[recipe]
    else:
        colour, dashes = PALETTE[zlib.crc32(recipe.encode()) % len(PALETTE)], "-"
    return {"color": colour, "linestyle": dashes}


def darker(colour: str) -> str:
    """The colour for small type, which a light one would make hard to read."""
    return to_hex(tuple(0.78 * part for part in to_rgb(colour)))  # type: ignore[arg-type]


def headroom(highest: float, share: float) -> float:
    """Where an axis ends that begins at 0: above the highest value by a share of it, and at 1 where all are 0.

    An axis from 0 to 0 is none, which matplotlib says in a warning.

    >>> headroom(0.5, 0.1), headroom(0.0, 0.1)
    (0.55, 1.0)
    """
    return (1 + share) * highest if highest > 0 else 1.0


def label_ends(axes: Axes, labels: Sequence[tuple[str, float, str]], *, size: float = 10) -> None:
    """Write (text, height in the axes' units, colour) right of the axes, pushed apart where they would touch.

    Call it when the limits of the axes are what they will be.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("these axes belong to no figure; make them with canvas()")
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    transform = axes.transData
    floor, ceiling = (float(transform.transform((0, edge))[1]) for edge in (low, high))
    gap = size * 1.25 * figure.dpi / 72
    ordered = sorted(labels, key=lambda label: label[1])
    heights = [float(transform.transform((0, height))[1]) for _, height, _ in ordered]
    for (text, height, colour), place in zip(ordered, spread(heights, gap, floor, ceiling), strict=True):
        fraction = (place - floor) / (ceiling - floor)
        axes.annotate(
            text, (1, height), (1.03, fraction),
            xycoords=axes.get_yaxis_transform(), textcoords="axes fraction",
            color=darker(colour), fontsize=size, va="center", ha="left", annotation_clip=False,
        )  # fmt: skip


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending places moved as little as needed to be `gap` apart and, while there is room, within [low, high].

    >>> spread([0.0, 1.0, 10.0], gap=2.0, low=0.0, high=10.0)
    [0.0, 2.0, 10.0]
    """
    groups: list[tuple[float, int]] = []  # (middle, how many) of labels that lie side by side
    for place in places:
        middle, count = _inside(place, 1, gap, low, high), 1
        while groups and middle - gap * (count - 1) / 2 < groups[-1][0] + gap * (groups[-1][1] - 1) / 2 + gap:
            below, others = groups.pop()
            middle = (below * others + middle * count) / (others + count)
            count += others
            middle = _inside(middle, count, gap, low, high)
        groups.append((middle, count))
    return [middle + gap * (place - (count - 1) / 2) for middle, count in groups for place in range(count)]


def _inside(middle: float, count: int, gap: float, low: float, high: float) -> float:
    half = gap * (count - 1) / 2
    return max(low + half, min(middle, high - half))


def as_svg(figure: Figure) -> str:
    """The figure as svg; equal figures give equal text, in which nothing steers a terminal or turns text round."""
    content = io.StringIO()
    with look():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out again, everything would move by a fraction of a point
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": "nextitem"})
    return visible(content.getvalue())  # names of data and recipes are its only text from elsewhere


def write_svg(figure: Figure, file: Path) -> None:
    """The figure as an svg file. Raises OSError."""
    write_text(file, as_svg(figure))

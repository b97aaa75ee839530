"""Figures set into a page that may be read in the dark, and the style sheet that paints it."""

import re
from importlib.resources import files
from itertools import count

from markupsafe import Markup
from matplotlib.figure import Figure

from nextitem.report import look

# What a page in the dark has to paint differently, by the names its style sheet gives these colours.
_PAINTS = {
    look.INK: "ink",
    look.MUTED: "muted",
    look.FAINT: "faint",
    "#ffffff": "paper",
    look.BLUE: "blue",
    look.GREEN: "green",
    look.ORANGE: "orange",
    look.RED: "red",
    look.PINK: "pink",
    look.SKY: "sky",
}


def style_sheet() -> Markup:
    """The style sheet of every page, for its head."""
    sheet = files("nextitem.report") / "templates" / "page.css"
    return Markup(sheet.read_text(encoding="utf-8"))


class Pictures:
    """Sets figures into one page: each with ids of its own, a description, and colours that the page may change."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def __call__(self, figure: Figure, description: str) -> str:
        """The figure as an svg element; equal figures in equal order give equal text."""
        number = next(self._numbers)
        svg = look.as_svg(figure)
        svg = svg[svg.index("<svg") :]
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
        svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>f{number}-", svg)
        size = re.search(r'viewBox="[^"]*"', svg)
        opening = f'<svg {size[0] if size else ""} role="img" aria-label="{_escaped(description)}" '
        opening += 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        svg = opening + svg[svg.index(">") + 1 :]
        return re.sub(r"#[0-9a-fA-F]{6}\b", _paint, svg)


def _paint(found: re.Match[str]) -> str:
    name = {colour.lower(): name for colour, name in _PAINTS.items()}.get(found[0].lower())
    return found[0] if name is None else f"var(--{name})"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")

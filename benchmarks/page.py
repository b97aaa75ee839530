"""docs/benchmarks.md and its picture from what was measured: every table between two marks, so that each command
replaces its own tables and leaves the others.
"""

import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from nextitem.report.look import colour_of

INTRODUCTION = """# Benchmarks

How fast training and ranking are, and how far from what the machine allows. Each table says with which command, when
and on what it was measured. Ratios are taken between numbers of one run, in which the settings take turns; a cell is
the median of the rounds, with the lowest and the highest in brackets.

An epoch is not waited for: each round times some steps in a process of its own and scales them to the real target
positions of an epoch. The **floor** of an epoch with the softmax over the whole catalogue is 6·T·N·d floating-point
operations at the rate of the machine's fp32 product, plus T·N exponentials at the rate of its fp32 `exp`
([architecture.md](architecture.md#how-the-full-softmax-works)); both rates are measured right before the steps, in
their process. A sampled loss, which does less, is shown as a multiple of the same floor, and bfloat16 can be below it.
That needs a processor with instructions for bfloat16 (AVX-512 BF16, AMX): without them it takes many times as long.
"""

REFERENCE = "#777777"


def spread(values: list[float], pattern: str = ",.1f") -> str:
    """Median and, of several values, lowest to highest.

    >>> spread([3.0, 1.0, 2.0])
    '2.0 (1.0 – 3.0)'
    """
    middle = f"{statistics.median(values):{pattern}}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{pattern}} – {max(values):{pattern}})"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is text."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def section(title: str, command: str, machine: str, said: str, content: str) -> str:
    """A table with its command, its machine and what is to be known about it."""
    return f"## {title}\n\n```bash\n{command}\n```\n\n{machine}.\n\n{said}\n\n{content}\n"


def write(page: Path, part: str, content: str) -> None:
    """Put `content` between the marks of `part`, or at the page's end; the introduction is always today's."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    parts: dict[str, str] = {}
    for piece in text.split("<!-- begin ")[1:]:
        name, _, body = piece.partition(" -->\n")
        parts[name] = body.partition("<!-- end ")[0]
    parts[part] = content
    marked = [f"<!-- begin {name} -->\n{body}<!-- end {name} -->\n" for name, body in parts.items()]
    page.write_text("\n".join([INTRODUCTION, *marked]), encoding="utf-8")


def figure(bars: list[dict[str, Any]], file: Path, title: str) -> None:
    """Epoch time relative to the floor, a bar per setting with its spread; `ratios` and `label` of each."""
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 12, "svg.hashsalt": "nextitem"})
    drawing = Figure(figsize=(6.4, 1.3 + 0.5 * len(bars)), layout="constrained")
    axes = drawing.add_subplot()
    for place, bar in enumerate(reversed(bars)):
        middle = statistics.median(bar["ratios"])
        errors = [[middle - min(bar["ratios"])], [max(bar["ratios"]) - middle]]
        colour = REFERENCE if bar["is_padded"] else colour_of(bar["recipe"])
        axes.barh(place, middle, 0.7, xerr=errors, color=colour, error_kw={"ecolor": "#333333", "elinewidth": 1})
        shown = f"{middle:.0f}" if middle >= 10 else f"{middle:.2g}"
        axes.annotate(shown, (max(bar["ratios"]), place), (5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(bars)), [bar["label"].replace(", ", "\n", 1) for bar in reversed(bars)])
    axes.axvline(1, color="#333333", linewidth=1)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    drawing.supxlabel("epoch time ÷ floor of the full softmax", fontsize=12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    drawing.suptitle(title, x=0.02, ha="left", fontsize=12)
    drawing.savefig(file, metadata={"Date": None})

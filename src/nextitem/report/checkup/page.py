"""check --html: what was found in a log, as one page that needs no network and no script."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from nextitem.data.checkup.finding import Finding, Severity
from nextitem.report.checkup import drawings
from nextitem.report.look import look
from nextitem.report.pictures import Pictures, style_sheet
from nextitem.storage import refusals, whole_file, write_text
from nextitem.studies.checkup import Checkup
from nextitem.words import counted, filled, percent

_CALLED = {
    "events": "Events",
    "lengths": "Length of histories",
    "minima": "Minimum counts",
    "repeats": "Repeats",
    "times": "Times",
    "activity": "Activity",
    "ties": "Ties in time",
    "bots": "Bots",
    "popularity": "Popularity",
    "leak": "Learning from the future",
    "windows": "Maximum length",
    "order": "Order",
}
_ORDER = (Severity.WARNING, Severity.NOTE, Severity.FINE)


def checkup_page(checked: Checkup, command: str) -> str:
    """The page; `command` is how it was made. Equal findings give equal text."""
    found, findings = checked.found, checked.findings
    said = {name: one for name, one in findings.items() if name in _CALLED}
    with look():
        figures = _figures(checked)
    content = {
        "version": version("nextitem"),
        "style": style_sheet(),
        "title": found.source.name,
        "lead": _lead(said),
        "key": _key(checked),
        "findings": [
            (_CALLED[name], one) for severity in _ORDER for name, one in said.items() if one.severity is severity
        ],
        "figures": figures,
        "splits": found.splits,
        "suspects": found.bots.suspects,
        "gaps": () if found.times is None else found.times.gaps,
        "advice": checked.advice,
        "refusal": checked.refusal,
        "columns": found.described_columns,
        "notes": found.notes,
        "command": command,
    }
    return filled("report/checkup/templates/checkup.html.j2", content)


def write_page(checked: Checkup, command: str, file: Path) -> None:
    """Write the page. Raises StorageError."""
    text = checkup_page(checked, command)
    with refusals(file, "free space or choose another --html"), whole_file(file) as draft:
        write_text(draft, text)


def _lead(said: Mapping[str, Finding]) -> str:
    warnings = [_CALLED[name] for name, one in said.items() if one.severity is Severity.WARNING]
    if not warnings:
        return "Nothing was found that changes what a number means."
    of_what = ", ".join(name.lower() for name in warnings)
    return f"{counted(len(warnings), 'finding changes', 'findings change')} what a number means: {of_what}."


def _key(checked: Checkup) -> list[tuple[str, str, str]]:
    """(name, value, what stands below it) of the numbers that matter."""
    found = checked.found
    size, asked = found.size, found.splits[0]
    numbers = [
        ("events", f"{size.events:,}", f"{percent(size.density, 3 if size.density < 0.01 else 1)} of all pairs"),
        ("users", f"{size.users:,}", f"median {found.lengths.median:,.0f} events"),
        ("items", f"{size.items:,}", f"Gini {found.popularity.gini:.2f}"),
    ]
    if not asked.refusal:
        numbers.append(("ceiling", f"{asked.ceiling:.3f}", "of the hit rate"))
    if found.ties is not None:
        numbers.append(("tied ends", percent(found.ties.share_of_ends, 1), "of the users"))
    if found.leak is not None:
        numbers.append(("leak", percent(found.leak.median_later), "of training is later"))
    return numbers


def _figures(checked: Checkup) -> list[dict[str, Any]]:
    """All figures with what is seen in them."""
    found, draw = checked.found, Pictures()
    drawn: list[tuple[Figure, str]] = [
        (drawings.lengths(found.lengths.bands), f"{found.lengths.users:,} users by the number of their events.")
    ]
    if found.times is not None:
        when = f"{found.size.events:,} events from {found.times.first[:10]} to {found.times.last[:10]}."
        drawn.append((drawings.activity(found.times), when))
    of_items = f"The share of the events that the most popular of {found.popularity.items:,} items have together."
    drawn.append((drawings.popularity(found.popularity), of_items))
    if found.windows is not None and found.windows.targets:
        lost = f"Of {found.windows.targets:,} training targets the share that lies before the last window of a user."
        drawn.append((drawings.windows(found.windows), lost))
    # What matplotlib writes is svg; the caption in it is escaped.
    return [{"svg": Markup(draw(figure, caption)), "caption": caption} for figure, caption in drawn]

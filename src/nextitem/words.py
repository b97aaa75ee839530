"""Amounts, times, shares and intervals as people write them, the sign for what there is nothing of, pages of them, and
text from elsewhere as it may be shown.

Times are written in four ways, on purpose: an estimate of hours is not told to the minute (`duration`), an epoch's
seconds are (`in_seconds`), what is left moves on a display (`time_left`), and what was measured is rounded to what
anybody reads (`time_taken`).
"""

import os
import re
from collections.abc import Mapping

NOTHING = "–"
MOST_OF_A_NAME = 200
"""Bytes of the part of a folder's name that is made of other names; systems take 255 for the whole."""
CEILING = "Except by chance no model of ids alone hits a larger share of targets than the ceiling."
KINDS = "A repeated target is in its history. Of the others, a warm one occurs in training and a cold one does not."

# What would move a cursor, colour or hide what stands beside it, or turn its order round: control characters but tab
# and newline, marks of direction, separators of lines, and halves of characters, which stand for bytes of file names.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_ASCII = str.maketrans(dict(zip("▇–—−×·“”‘’\u00a0\u202f", "#---x.\"\"''  ", strict=True)))
_ASCII |= str.maketrans({"…": "...", "≥": ">=", "≤": "<=", "≈": "~", "σ": "sigma", "→": "->", "±": "+-"})


def amount(size: float) -> str:
    """Bytes in words.

    >>> amount(1.25e9), amount(64_000_000), amount(2.4007e12), amount(3e20)
    ('1.2 GB', '64 MB', '2.4 TB', '300,000,000.0 TB')
    """
    if size >= 1e12:
        return f"{size / 1e12:,.1f} TB"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def counted(number: int, one: str, several: str = "") -> str:
    """How many there are of something; its plural ends in s unless it is given, with the verb that goes with it.

    >>> counted(1, "thread"), counted(3000, "negative"), counted(2, "entry is", "entries are")
    ('1 thread', '3,000 negatives', '2 entries are')
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def shortened(name: str, most: int) -> str:
    """The beginning of a name, of at most so many bytes: these are what systems limit, and a character may take four.

    >>> shortened("漢字の記録", 7)
    '漢字'
    """
    return os.fsencode(name)[:most].decode(errors="ignore") if len(os.fsencode(name)) > most else name


def written(value: float | None, pattern: str) -> str:
    """A number by its format; NOTHING where there is none.

    >>> written(1234.5, ",.0f"), written(None, ".4f")
    ('1,234', '–')
    """
    return NOTHING if value is None else f"{value:{pattern}}"


def interval(bounds: tuple[float, float], pattern: str = ".4f") -> str:
    """Two bounds by their format; `+.4f` for those of a difference.

    >>> interval((0.1, 0.25)), interval((-0.1, 0.25), "+.2f")
    ('0.1000 – 0.2500', '-0.10 – +0.25')
    """
    low, high = bounds
    return f"{low:{pattern}} – {high:{pattern}}"


def with_interval(value: float, bounds: tuple[float, float], pattern: str = ".4f") -> str:
    """A value, and its interval in brackets.

    >>> with_interval(0.2, (0.1, 0.25))
    '0.2000 (0.1000 – 0.2500)'
    """
    return f"{value:{pattern}} ({interval(bounds, pattern)})"


def percent(share: float, decimals: int = 0, space: str = " ") -> str:
    """A share in per cent; `space` may be one that does not break.

    >>> percent(0.123), percent(0.0123, 1)
    ('12 %', '1.2 %')
    """
    return f"{100 * share:.{decimals}f}{space}%"


def epoch_of(epoch: int, epochs: int) -> str:
    """Which of the epochs it was; NOTHING where there were none.

    >>> epoch_of(7, 12), epoch_of(0, 0)
    ('7 of 12', '–')
    """
    return f"{epoch} of {epochs}" if epochs else NOTHING


def duration(seconds: float) -> str:
    """A time that is estimated, to two digits.

    >>> duration(5400), duration(90), duration(400_000)
    ('1.5 h', '1.5 min', '4.6 days')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    value, unit = (seconds / 60, "min") if seconds < 3600 else (seconds / 3600, "h")
    if value >= 72 and unit == "h":
        value, unit = value / 24, "days"
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"


def in_seconds(seconds: float) -> str:
    """A time that is predicted for one epoch, in seconds however many.

    >>> in_seconds(0.0123), in_seconds(1234.5)
    ('0.012 s', '1234 s')
    """
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def time_left(seconds: float) -> str:
    """A time that runs down on a display.

    >>> time_left(59.6), time_left(3725)
    ('1 min 0 s', '62 min 5 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def time_taken(seconds: float) -> str:
    """A time that was measured.

    >>> time_taken(12.34), time_taken(185), time_taken(1234), time_taken(3725)
    ('12.3 s', '3 min 5 s', '21 min', '1 h 2 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes >= 10:
        return f"{round(seconds / 60)} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def visible(text: str) -> str:
    r"""The text with everything that steers a terminal written out, as JSON writes it; tabs and newlines stay.

    >>> print(visible("\x1b[2Jitem"), visible("ann"))
    \u001b[2Jitem ann
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def spelt_out(text: str) -> str:
    r"""The text in ASCII, for a terminal or a file that takes no more.

    >>> print(spelt_out("0.1 – 0.2, 3 × é"))
    0.1 - 0.2, 3 x \xe9
    """
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def filled(template: str, content: Mapping[str, object]) -> str:
    """The text of a page from its template, named by its path in the package; a template may use what is above here.

    In HTML whatever is filled in is escaped, unless it is Markup; in Markdown (`.md`) nothing is. In both, control
    characters and marks of direction are written out, as on a terminal (`visible`). Raises jinja2's UndefinedError
    where the content lacks what the template asks for.
    """
    # Here, because only those who make a page should wait for the import.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    folder, _, name = template.rpartition("/")
    is_markdown = name.endswith(".md")
    environment = Environment(
        loader=PackageLoader("nextitem", folder),
        autoescape=not is_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=is_markdown,
        finalize=lambda value: visible(value) if type(value) is str else value,  # Markup is of a type of its own
    )
    for word in (counted, interval, percent, with_interval, written):
        environment.globals[word.__name__] = word
    return environment.get_template(name).render(content)

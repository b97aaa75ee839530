"""Amounts, durations and what there is nothing of, as people write them."""


def amount(size: float) -> str:
    """Bytes in words."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


NOTHING = "–"


def threads(count: int) -> str:
    """A number of threads in words."""
    return f"{count} thread{'s' if count != 1 else ''}"


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(5400), duration(90), duration(400_000)
    ('1.5 h', '1.5 min', '4.6 days')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    value, unit = (seconds / 60, "min") if seconds < 3600 else (seconds / 3600, "h")
    if value >= 72 and unit == "h":
        value, unit = value / 24, "days"
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"

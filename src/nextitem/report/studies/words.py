"""What the pages about studies say alike."""

from nextitem.studies.comparison import Comparison
from nextitem.words import counted

TITLES = {"ml-1m": "MovieLens-1M", "ml-20m": "MovieLens-20M", "beauty": "Beauty", "steam": "Steam", "yelp": "Yelp"}


def measured_on(found: Comparison) -> str:
    """What the numbers were measured on, in a sentence."""
    told = found.certificate
    if not told:
        return "No run was finished."
    return (
        f"{told['cases']:,} test users, {told['candidates']:,} items, {told['ranking']} ranking, "
        f"{told['hidden']} hidden, split `{told['split'][:12]}…`."
    )


def made(found: Comparison) -> list[str]:
    """Where and when the runs were made, one line for each different place."""
    places = dict.fromkeys(
        f"nextitem {told['nextitem']}, torch {told['torch']}, {told['device']}, {counted(told['threads'], 'thread')}, "
        f"{told['processor']}"
        for told in (run.metrics["provenance"] for row in found.rows for run in row.runs)
    )
    days = sorted(run.metrics["provenance"]["started"][:10] for row in found.rows for run in row.runs)
    when = " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""
    return [f"- Runs of {when}: {'; '.join(places)}."] if days else []

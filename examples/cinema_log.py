"""Writes the log of a cinema that never was, for those who have no log at hand or want to try things on one.

    python examples/cinema_log.py cinema

makes a folder with events.csv (what people watched), today.csv (what they watched after that), films.csv (titles and
genres) and new-films.csv (films that nobody has watched yet). `nextitem.data.datasets.synthetic` draws them.
"""

import argparse
from pathlib import Path

import polars as pl

from nextitem.data.datasets.synthetic import generate
from nextitem.errors import ConfigurationError

BEFORE = 0.95  # of the events, in order of time, are in events.csv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--films", type=int, default=2500)
    asked = parser.parse_args()
    try:
        log = generate(asked.users, asked.films)
    except ConfigurationError as error:
        parser.error(str(error))
    events = log.interactions.events.select("user", "item", "time").sort("time", maintain_order=True)
    before = round(BEFORE * len(events))
    new = pl.DataFrame(
        {
            "item": ["n0001", "n0002"],
            "title": ["The Silent Lighthouse VI", "A Borrowed Orchestra"],
            "genre": ["Mystery", "Comedy"],
        }
    )
    tables = {"events": events[:before], "today": events[before:], "films": log.titles, "new-films": new}
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        file = asked.folder / f"{name}.csv"
        table.write_csv(file)
        print(f"{file}: {len(table):,} rows of {', '.join(table.columns)}")


if __name__ == "__main__":
    main()

"""The films of MovieLens-1M by the ids of `data=ml-1m`, which numbers them anew: a table for `items=films.csv`.

    python examples/films.py DATA films.csv

DATA is the folder that holds ml-1m.movies.dat.gz (`id::title (year)::genre|genre`, in Latin-1) and
ml-1m.sas_to_original_items.txt.gz (`id of ml-1m.txt, original id` a line).
"""

import csv
import gzip
import re
import sys
from pathlib import Path

ARTICLES = ["The", "A", "An", "La", "Le", "Les", "L'", "Il", "Das", "Der", "Die", "El", "Los", "Las", "Un", "Une"]
_TITLE = re.compile(r"(.*?)\s*\((\d{4})\)")
_TURNED = re.compile(rf"(.*), ({'|'.join(ARTICLES)})( \(.*\))?")  # "Matrix, The": lists of names are sorted by it


def main(data: Path, out: Path) -> None:
    """Write the table."""
    films = {}
    with gzip.open(data / "ml-1m.movies.dat.gz", "rt", encoding="latin-1") as lines:
        for line in lines:
            number, title, genres = line.rstrip("\n").split("::")
            films[number] = (*named(title), genres)
    with gzip.open(data / "ml-1m.sas_to_original_items.txt.gz", "rt") as lines, out.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("item", "title", "year", "genres"))
        for line in lines:
            item, number = line.split()
            table.writerow((item, *films[number]))


def named(title: str) -> tuple[str, str]:
    """(title as people say it, year).

    >>> named("Matrix, The (1999)")
    ('The Matrix (1999)', '1999')
    """
    found = _TITLE.fullmatch(title)
    if found is None:
        return title, ""
    name, year = found.groups()
    return f"{_TURNED.sub(_turned_back, name)} ({year})", year


def _turned_back(found: re.Match[str]) -> str:
    name, article, rest = found.groups()
    return f"{article}{'' if article.endswith(chr(39)) else ' '}{name}{rest or ''}"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

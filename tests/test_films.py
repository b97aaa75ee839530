"""The example that brings MovieLens' films to the ids of its log."""

import csv
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "films.py"


def test_every_film_of_the_log_gets_its_title_year_and_genres(data_folder: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, EXAMPLE, data_folder, tmp_path / "films.csv"], check=True)
    with (tmp_path / "films.csv").open(newline="") as file:
        rows = {row["item"]: row for row in csv.DictReader(file)}
    assert len(rows) == 3416
    assert rows["158"] == {
        "item": "158",
        "title": "The Matrix (1999)",
        "year": "1999",
        "genres": "Action|Sci-Fi|Thriller",
    }
    assert all(row["title"] and row["year"] for row in rows.values())

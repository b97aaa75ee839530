"""The table of routes in docs/serving.md: complete, and each of its examples is answered."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from nextitem.serving.fit import fit
from nextitem.serving.service.models import Models, ids_of
from nextitem.serving.store.store import EventStore
from worlds.films import FILMS
from worlds.served import Served, served
from worlds.small_runs import chains

PAGE = Path(__file__).resolve().parent.parent / "docs" / "serving.md"
_SHORT = ("objective.maximum_length=8", "encoder.dim=8", "encoder.positions=8", "training.epochs=1")
_KNOWN = ("prefix=users", "user_features.columns.categories=gender", "user_features.columns.numbers=age")


def examples() -> list[tuple[str, str, str]]:
    """(method, path, what is sent) of each row."""
    rows = re.findall(r"^\| (`[A-Z]+ /.*?) \|.*\| (?:`(.*)` )?\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [(*one.split(" "), sent) for routes, sent in rows for one in re.findall(r"`(.*?)`", routes)]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Served]:
    rows = [(user + 1, film + 1) for user, history in enumerate(chains(60, FILMS)) for film in history]
    films = pl.DataFrame(
        {
            "item": range(1, FILMS + 1),
            "title": [f"Film {n}" for n in range(1, FILMS + 1)],
            "genres": [["Comedy"] if n % 2 else ["Drama", "Comedy"] for n in range(FILMS)],
            "year": [1970.0 + n for n in range(FILMS)],
        }
    )
    events = pl.DataFrame(rows, schema=["user", "item"], orient="row")
    users = events.select("user").unique(maintain_order=True)
    users = users.with_columns(gender=pl.lit("F"), age=20 + pl.col("user"))
    users.write_csv(tmp_path / "users.csv")
    fit(events, "sasrec-ce", *_SHORT, f"users={tmp_path / 'users.csv'}", *_KNOWN, items=films).save(tmp_path / "sasrec")
    models = Models.load([tmp_path / "sasrec"])
    ids = ids_of(models.first.recommender)
    with EventStore.open(tmp_path / "events.db", ids=ids) as store, served(models, events=store) as found:
        yield found


def test_every_example_of_the_page_is_answered_and_no_route_is_missing(one: Served) -> None:
    asked = set[str]()
    for method, path, sent in examples():
        address = path + sent if sent.startswith("?") else path
        body = {"json": json.loads(sent)} if sent.startswith("{") else {}
        answer = one.client.request(method, address, **body)
        assert answer.status_code in (200, 201), f"{method} {address} {sent}: {answer.text}"
        assert answer.headers["content-type"].startswith(("application/json", "text/plain"))
        asked.add(f"{method} {path}")
        if path == "/v1/recommend":
            assert answer.json()["items"], sent
    described = one.client.get("/openapi.json").json()["paths"]
    patterns = [
        f"{method.upper()} {re.sub('{.*?}', '[^/]+', path)}" for path, has in described.items() for method in has
    ]
    assert [each for each in patterns if not any(re.fullmatch(each, row) for row in asked)] == []

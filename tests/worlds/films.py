"""A small log of films with titles, genres and years, and two runs of it: for tests of what people look at."""

from functools import partial
from pathlib import Path

import polars as pl

from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.experiment.train import Extras, train
from nextitem.training.session import Session
from worlds.small_runs import chains

FILMS = 40
LONG = "The Extraordinarily Long and Winding Account of " + "Many " * 30 + "Things"
HEBREW, HOSTILE = "ואלס עם באשיר", "<script>alert('x')</script>\u202e & “quotes”"
TITLES = {0: "Alien", 1: "Aliens", 2: LONG, 3: HEBREW, 4: HOSTILE, 5: None}
_GENRES = ("Comedy", "Drama", "Horror")
_SHORT = "objective.maximum_length=8 encoder.dim=8 encoder.positions=8 training.epochs=3 training.learning_rate=1e-2"


def films() -> pl.DataFrame:
    """A row for each film; film 5 has no title, and film 39 nothing at all."""
    last = FILMS - 1
    return pl.DataFrame(
        {
            "item": [f"f{n:02}" for n in range(FILMS)],
            "title": [None if n == last else TITLES.get(n, f"Film {n}") for n in range(FILMS)],
            "genre": [
                None if n == last else [_GENRES[n % 3], *(["Action"] if n % 4 == 0 else [])] for n in range(FILMS)
            ],
            "year": [None if n == last else 1980.0 + n for n in range(FILMS)],
            "brand": [["Old" if n < last // 2 else "New"] for n in range(FILMS)],
            "price": [90.0 + n for n in range(FILMS)],
        }
    )


def events() -> pl.DataFrame:
    """Who watched what: after film n mostly n + 1."""
    rows = [(f"u{user:02}", f"f{film:02}") for user, history in enumerate(chains(60, FILMS)) for film in history]
    return pl.DataFrame(rows, schema=["user", "item"], orient="row")


def stored(root: Path) -> list[Path]:
    """The folders of a neural model and of one that counts, in this order."""
    recipes = [
        resolve_recipe(load_preset("sasrec-ce"), _SHORT.split()).value,
        resolve_recipe(load_preset("co-occurrence"), ()).value,
    ]
    make = partial(train, out=root, events=events(), extras=Extras(items=films(), baselines=False))
    return [make(recipe, Session(seed=0)).folder for recipe in recipes]

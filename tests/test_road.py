"""A history's way from a csv file to NDCG@10 opens at most ten files, and enters each room once.

What travels are nouns: events, a log, views, cases, a query. A file is on the road where a history takes another of
these forms, or where the road is laid out; who only looks at one, as checks and filters do, hands on what it was given.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

import polars as pl
import pytest
import torch

from nextitem.data.events import Events
from nextitem.data.interactions import Interactions
from nextitem.data.log import Catalog, Log
from nextitem.data.prepare import Prepared
from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases, Split
from nextitem.evaluation.evaluate import Evaluation
from nextitem.evaluation.metrics.ndcg import ndcg
from nextitem.experiment.run import Outcome, run
from nextitem.training.session import Session
from worlds.small_runs import RECIPES, chains, log_of, write_csv

CHECKOUT = Path(__file__).resolve().parent.parent
NOUNS = (Interactions, Catalog, Log, Events, Sequences, Split, Cases, Prepared, Evaluation, Outcome)
SHELVED = {"popularity": "model/baselines/popularity.py", "sasrec-ce": "model/model.py"}


def form(value: object) -> object:
    """Which form of a history a value is; None for anything else."""
    if isinstance(value, pl.LazyFrame | Interactions | Log | Split | Prepared | Evaluation | Outcome):
        return type(value)
    if hasattr(value, "candidate_scores") and hasattr(value, "select"):
        return "query"
    is_pair = isinstance(value, tuple) and len(value) == 2
    if is_pair and all(isinstance(part, torch.Tensor) and part.dtype == torch.float64 for part in value):
        return "ranks"
    return None


def given(frame: FrameType) -> list[object]:
    """The arguments of a call."""
    code = frame.f_code
    return [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]


def belongs_to_a_noun(frame: FrameType) -> bool:
    """Whether a call is of a noun's own method."""
    owner = frame.f_locals.get("self", frame.f_locals.get("cls"))
    return isinstance(owner, NOUNS) or form(owner) == "query" or (isinstance(owner, type) and issubclass(owner, NOUNS))


def file_of(frame: FrameType) -> str | None:
    """The file of a call, below the package; None elsewhere."""
    module = str(frame.f_globals.get("__name__", ""))
    is_ours = module.startswith("nextitem.") and "<" not in frame.f_code.co_name
    return f"{module.removeprefix('nextitem.').replace('.', '/')}.py" if is_ours else None


class Road:
    """The files that a history passed."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.stops: set[str] = set()

    def files(self) -> list[str]:
        """The stops in the order in which they were called first."""
        return [file for file in dict.fromkeys(self.called) if file in self.stops]

    def watch(self, frame: FrameType, event: str, returned: Any) -> None:
        """Told by the interpreter of each call and its end."""
        file = file_of(frame)
        if file is None or belongs_to_a_noun(frame):
            return
        if event == "call":
            self.called.append(file)
            if frame.f_code is ndcg.__code__:
                self.stops.add(file)
        elif event == "return" and form(returned) not in (None, *map(form, given(frame))):
            self.stops.add(file)


@contextmanager
def traced(watch: Callable[[FrameType, str, Any], None]) -> Iterator[None]:
    """Has the interpreter tell of every call."""
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


@pytest.fixture(params=SHELVED)
def road(request: pytest.FixtureRequest, tmp_path: Path) -> Road:
    """The way of a small log through a whole run, a model that counts and one that is trained."""
    file = tmp_path / "events.csv"
    write_csv(log_of(chains()), file)
    recipe = RECIPES[request.param].model_copy(update={"data": str(file)})
    threads, found = torch.get_num_threads(), Road()
    torch.set_num_threads(1)  # a profile is that of one thread
    try:
        with traced(found.watch):
            run(recipe, Session(0))
    finally:
        torch.set_num_threads(threads)
    return found


def shown() -> list[str]:
    """The road as docs/architecture.md has it."""
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (part,) = re.findall(r"## The road of a history\n(.*?)\n## ", page, re.DOTALL)
    return re.findall(r"^\d+\. `([\w/]+\.py)`", part, re.MULTILINE)


def test_a_history_opens_at_most_ten_files_and_the_page_names_them_in_order(road: Road) -> None:
    assert len(road.files()) <= 10
    expected = [file for file in shown() if file not in SHELVED.values()]
    assert [file for file in road.files() if file not in SHELVED.values()] == expected
    assert len(shown()) == len(road.files())


def test_each_room_is_entered_once(road: Road) -> None:
    rooms = [room for room, _ in groupby(file.partition("/")[0] for file in road.files())]
    assert rooms == ["experiment", "data", "model", "evaluation"]

"""What is on disk is used again, and the rest is asked of an engine: of any that keeps to the seam."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nextitem.data.splits import Temporal
from nextitem.engine.each import find_each, train_each
from nextitem.engine.engine import Pending
from nextitem.engine.entries import Entry, Place
from nextitem.errors import ConfigurationError, DataError, TrainingError
from nextitem.experiment.folder.metrics import metrics_of
from nextitem.experiment.folder.provenance import provenance
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.model.baselines import BPRMF, CoOccurrence, Popularity
from nextitem.model.encoders import HSTU
from nextitem.training.session import Session
from worlds.parts import sequence
from worlds.small_runs import chains, log_of, write_csv


@dataclass
class Here:
    """An engine that trains in this very process and keeps a diary; seed 13 fails."""

    diary: list[str] = field(default_factory=list)
    told: set[tuple[str, ...]] = field(default_factory=set)

    def submit(self, recipe: Recipe, seed: int, place: Place) -> Pending:
        self.told.add(place.told)
        self.diary.append(f"asked for {recipe.name} {seed}")
        return Waiting(self, recipe, seed, place)


@dataclass
class Waiting:
    engine: Here
    recipe: Recipe
    seed: int
    place: Place

    def folder(self) -> Path:
        self.engine.diary.append(f"waited for {self.recipe.name} {self.seed}")
        if self.seed == 13:
            raise TrainingError("13 is unlucky")
        session = Session(seed=self.seed)
        outcome = run(self.recipe, session)
        metrics = metrics_of(outcome, provenance(outcome.prepared, session, datetime.now(UTC), outcome.recipe))
        return write_run(Workplace.of(self.place.out, self.recipe, self.seed), self.recipe, outcome, metrics)


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    data = str(write_csv(log_of(chains(), since=1.7e9), tmp_path / "events.csv"))
    return [
        Entry("popular", Recipe(name="popular", data=data, model=Popularity())),
        Entry("pairs", Recipe(name="pairs", data=data, model=CoOccurrence())),
    ]


@pytest.fixture
def drawn(entries: list[Entry]) -> list[Entry]:
    """What depends on its seed."""
    short = (BPRMF(factors=2, iterations=1), BPRMF(factors=3, iterations=1))
    return [
        Entry(one.label, one.recipe.model_copy(update={"model": model}))
        for one, model in zip(entries, short, strict=True)
    ]


def test_all_trainings_are_asked_for_before_the_first_is_waited_for(drawn: list[Entry], tmp_path: Path) -> None:
    said: list[str] = []
    rows = train_each(drawn, [0, 1], Place(tmp_path / "runs"), said.append, engine=(engine := Here()))
    order = ["popular 0", "pairs 0", "popular 1", "pairs 1"]
    assert engine.diary == [*(f"asked for {one}" for one in order), *(f"waited for {one}" for one in order)]
    assert said[1:] == ["popular, seed 0: training", "pairs, seed 0: training", "popular, seed 1: training",
                        "pairs, seed 1: training"]  # fmt: skip
    assert [[run.seed for run in row.runs] for row in rows] == [[0, 1], [0, 1]]


def test_what_no_seed_changes_is_trained_once(entries: list[Entry], drawn: list[Entry], tmp_path: Path) -> None:
    place, both = Place(tmp_path / "runs"), [entries[0], drawn[1]]
    rows = train_each(both, [0, 1, 2], place, lambda _text: None, engine=(engine := Here()))
    assert [one for one in engine.diary if "popular" in one] == ["asked for popular 0", "waited for popular 0"]
    assert [[run.seed for run in row.runs] for row in rows] == [[0], [0, 1, 2]]
    assert [len(row.runs) for row in find_each(both, [0, 1, 2], place, lambda _text: None)] == [1, 3]


def test_what_holds_for_all_trainings_is_said_once_and_told_to_each(entries: list[Entry], tmp_path: Path) -> None:
    timed = Entry("timed", entries[0].recipe.model_copy(update={"hide": "history"}))
    said: list[str] = []
    train_each([*entries, timed], [0, 1], Place(tmp_path / "runs"), said.append, engine=(engine := Here()))
    notes = [line.removeprefix("note: ") for line in said if line.startswith("note: ")]
    assert notes == ["column 'time' orders the events of a user; users are in 'user', items in 'item'"]
    assert engine.told == {tuple(notes)}


def test_notes_are_said_where_nothing_is_left_to_train(entries: list[Entry], tmp_path: Path) -> None:
    place, alternating = Place(tmp_path / "runs"), tmp_path / "alternating.csv"
    rows = [f"u{user},i{(user + event) % 2},{event}" for user in range(5) for event in range(6)]
    alternating.write_text("\n".join(["user,item,time", *rows, ""]))
    one = [Entry("popular", entries[0].recipe.model_copy(update={"data": str(alternating)}))]
    for _ in range(2):
        said: list[str] = []
        train_each(one, [0], place, said.append, engine=Here())
        assert any("5 of 5 test targets repeat the history" in line for line in said)


def test_what_is_on_disk_is_not_asked_for(entries: list[Entry], tmp_path: Path) -> None:
    place = Place(tmp_path / "runs")
    train_each(entries[:1], [0], place, lambda _text: None, engine=Here())
    assert [len(row.runs) for row in find_each(entries, [0], place, lambda _text: None)] == [1, 0]
    rows = train_each(entries, [0], place, lambda _text: None, engine=(engine := Here()))
    assert engine.diary == ["asked for pairs 0", "waited for pairs 0"]
    assert [len(row.runs) for row in rows] == [1, 1]


def test_one_training_serves_all_entries_that_would_be_the_same(entries: list[Entry], tmp_path: Path) -> None:
    twin = Entry("twin", entries[0].recipe.model_copy(update={"name": "twin"}))
    said: list[str] = []
    rows = train_each([entries[0], twin], [0], Place(tmp_path / "runs"), said.append, engine=(engine := Here()))
    assert engine.diary == ["asked for popular 0", "waited for popular 0"]
    assert rows[0].runs[0].folder == rows[1].runs[0].folder
    assert said[1:] == ["popular, seed 0: training", f"twin, seed 0: finished in {rows[0].runs[0].folder}"]


def test_a_training_that_fails_is_told_of_in_its_row(drawn: list[Entry], tmp_path: Path) -> None:
    said: list[str] = []
    rows = train_each(drawn[:1], [13, 0], Place(tmp_path / "runs"), said.append, engine=Here())
    assert rows[0].failures == ("seed 13 failed: 13 is unlucky",)
    assert [run.seed for run in rows[0].runs] == [0]
    assert said[2] == "popular, seed 13 failed: 13 is unlucky"


def test_different_cases_are_refused_before_anything_is_asked_for(entries: list[Entry], tmp_path: Path) -> None:
    other = str(write_csv(log_of(chains(seed=1)), tmp_path / "other.csv"))
    entries[1] = Entry("pairs", entries[1].recipe.model_copy(update={"data": other}))
    with pytest.raises(ConfigurationError, match=r"data=events\.csv and data=other\.csv have different test cases"):
        train_each(entries, [0], Place(tmp_path / "runs"), lambda _text: None, engine=(engine := Here()))
    assert engine.diary == []


def test_what_is_ranked_differently_is_refused_before_anything_is_asked_for(
    entries: list[Entry], tmp_path: Path
) -> None:
    entries[1] = Entry("pairs", entries[1].recipe.model_copy(update={"hide": "nothing"}))
    with pytest.raises(ConfigurationError, match=r"different test cases \(hidden history and nothing\).* and hide$"):
        train_each(entries, [0], Place(tmp_path / "runs"), lambda _text: None, engine=(engine := Here()))
    assert engine.diary == []


def test_a_run_under_another_setting_of_what_is_hidden_is_not_used(entries: list[Entry], tmp_path: Path) -> None:
    place = Place(tmp_path / "runs")
    train_each(entries, [0], place, lambda _text: None, engine=Here())
    other = [Entry(entry.label, entry.recipe.model_copy(update={"hide": "last:1"})) for entry in entries]
    train_each(other, [0], place, lambda _text: None, engine=(engine := Here()))
    assert len(engine.diary) == 4
    found = find_each(other, [0], place, lambda _text: None)
    assert [[run.certificate.hidden for run in one.runs] for one in found] == [["last:1"], ["last:1"]]


def test_a_training_is_asked_about_the_cases_of_another_rule_and_not_repeated(
    entries: list[Entry], tmp_path: Path
) -> None:
    def ruled(target: str) -> list[Entry]:
        split = Temporal(cut="2023-11-14T22:18:20", validation="last").model_copy(update={"target": target})
        return [Entry(one.label, one.recipe.model_copy(update={"split": split})) for one in entries]

    place, said = Place(tmp_path / "runs"), list[str]()
    (first, _) = train_each(ruled("last"), [0], place, said.append, engine=Here())
    rows = train_each(ruled("successive"), [0], place, said.append, engine=(engine := Here()))
    assert engine.diary == []
    assert f"popular, seed 0: trained in {first.runs[0].folder}, asked about other cases" in said
    assert [len(row.runs) for row in rows] == [1, 1]
    assert rows[0].runs[0].certificate.split != first.runs[0].certificate.split
    again = train_each(ruled("successive"), [0], place, said.append, engine=(engine := Here()))
    assert [row.runs[0].folder for row in again] == [row.runs[0].folder for row in rows]
    assert find_each(ruled("successive"), [0], place, said.append)[0].runs[0].folder == rows[0].runs[0].folder
    assert engine.diary == []


def test_who_is_told_when_targets_happened_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    entries = [Entry("hstu", sequence(encoder=HSTU(times="target_leaks")).model_copy(update={"data": "nowhere.csv"}))]
    with pytest.raises(ConfigurationError, match=r"^hstu: told when each target happened"):
        train_each(entries, [0], Place(tmp_path), print)
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        train_each(entries, [0], Place(tmp_path), print, target_times=True)

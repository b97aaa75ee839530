"""`nextitem explain` and `nextitem similar` as a user types them. After a come b, then c, d, e, f, and a again."""

import json
from pathlib import Path

import polars as pl
import pytest

from worlds.command_line import typed

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that counts what follows, of items with titles; f has none, and g is in one test event alone."""
    folder = tmp_path_factory.mktemp("shop")
    visits = [(user, "abcdef"[(user + step) % 6]) for user in range(12) for step in range(5)]
    pl.DataFrame(
        [*visits, (12, "a"), (12, "b"), (12, "c"), (12, "g")], schema=["user", "item"], orient="row"
    ).write_csv(folder / "events.csv")
    titles = pl.DataFrame({"item": list("abcdeg"), "title": ["Ant", "Bee", "Cat", "Dog", "Elk", "Gnu"]})
    titles.write_csv(folder / "items.csv")
    with pytest.MonkeyPatch.context() as patch:
        words = (f"data={folder / 'events.csv'}", f"items={folder / 'items.csv'}", "--out", str(folder / "runs"))
        assert typed(patch, "train", "co-occurrence", *words) == 0
    (found,) = (folder / "runs").glob("*-co-occurrence-*")
    return found


def test_a_list_is_explained_with_titles(run: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    assert typed(monkeypatch, "explain", str(run), "--history", "a,b", "-k", "2", "--with", "c") == 0
    out = capfd.readouterr().out
    assert "│    1 │ Cat (c) " in out
    assert "Bee (b): +" in out  # the last item carries it,
    assert "Ant (a): +" not in out  # and the one before does nothing
    assert "│    1 │ Cat (c)  │ Dog (d)   │" in out  # what if


def test_what_is_left_out_and_why_is_listed(run: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    assert typed(monkeypatch, "explain", str(run), "--history", "a,b", "-k", "1", "--exclude", "c") == 0
    assert "│ Cat (c) │" in capfd.readouterr().out.partition("would be listed, and are left out")[2]
    words = ("--history", "a,b", "--item", "c", "--item", "b", "--exclude", "c", "--json")
    assert typed(monkeypatch, "explain", str(run), *words) == 0
    told = json.loads(capfd.readouterr().out)
    assert [(one["item"], one["filtered"]) for one in told["items"]] == [("c", "excluded"), ("b", "seen")]
    assert told["answer"]["filtered"] == {"excluded": 1, "seen": 2}


def test_a_fallback_and_a_model_that_reads_no_history_are_said(
    run: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    assert typed(monkeypatch, "explain", str(run), "--user", "3", "--item", "a", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["is_fallback"], told["history"]) == (False, ["d", "e", "f", "a", "b"])
    assert typed(monkeypatch, "explain", str(run)) == 2
    assert "give --user ID, --history ITEMS, or both" in capfd.readouterr().err
    assert typed(monkeypatch, "explain", str(run), "--history", "a,zz") == 3
    assert typed(monkeypatch, "explain", str(run), "--history", "a", "--without", "b") == 3
    assert "item 'b' is not in the history of 1 events" in capfd.readouterr().err
    assert typed(monkeypatch, "explain", str(run), "--history", "a", "--times", "noon") == 2


def test_similar_items_have_titles_and_say_of_what_they_are_made(
    run: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    assert typed(monkeypatch, "similar", str(run), "a", "f", "-k", "2") == 0
    said = capfd.readouterr()
    assert "like Ant (a)" in said.out
    assert "like f" in said.out
    assert "cosines of the stored histories that hold both" in said.err
    assert typed(monkeypatch, "similar", str(run), "a", "--candidates", "b,e", "--exclude", "e", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert [one["item"] for one in told["items"][0]["similar"]] == ["b"]
    assert told["items"][0]["title"] == "Ant"


def test_an_item_that_nothing_is_known_of_is_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    assert typed(monkeypatch, "similar", str(run), "zz") == 3
    assert typed(monkeypatch, "similar", str(run), "g") == 3
    assert "item 'g' has no training event" in capfd.readouterr().err

"""`nextitem evaluate --recommendations`: anybody's lists as a user types them."""

import json
from pathlib import Path

import polars as pl
import pytest

from worlds.command_line import typed
from worlds.small_runs import chains, log_of, write_csv

METRICS = ("--metrics", "hit_rate@2,ndcg@2,coverage@2")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, a run on it, and lists that hold every test target in the second place."""
    folder = tmp_path_factory.mktemp("shop")
    write_csv(log_of(chains()), folder / "events.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert typed(patch, "train", "popularity", "data=events.csv", "--out", "runs", "--no-report") == 0
    next(entry for entry in (folder / "runs").iterdir() if entry.name != ".partial").rename(folder / "popular")
    rows = [(f"u{user:02}", f"i{(history[-1] + 6) % 12:02}", 1) for user, history in enumerate(chains())]
    rows += [(f"u{user:02}", f"i{history[-1]:02}", 2) for user, history in enumerate(chains())]
    pl.DataFrame(rows, schema=["who", "what", "rank"], orient="row").write_csv(folder / "recs.csv")
    return folder


def test_lists_stand_beside_a_run(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    words = ("evaluate", "popular", "--recommendations", "recs.csv", "--columns", "user=who,item=what", *METRICS)
    assert typed(monkeypatch, *words) == 0
    out, err = capfd.readouterr()
    assert "recs.csv on events.csv, 30 test cases" in out
    assert "60 rows in the file, " in out
    assert "less popularity, paired by user" in out
    assert "10,000 bootstrap resamples of users; p by Holm over 2 metrics" in out
    assert "rows of items that are hidden, first user" in err
    assert typed(monkeypatch, *words, "--json") == 0
    told = json.loads(capfd.readouterr().out)
    lists = told["test"]["lists"]
    assert told["test"]["hit_rate@2"] == 1
    assert lists["rows"] == 60 == lists["used"] + lists["unused"]["hidden"]
    assert [*told["test"]["differences"]] == ["hit_rate@2", "ndcg@2"]
    assert (told["recipe"], told["run"], told["recommendations"]) == ("popularity", "popular", "recs.csv")


def test_lists_stand_alone_on_data_and_a_split(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    words = ("--recommendations", "recs.csv", "--columns", "user=who,item=what", *METRICS, "--json")
    assert typed(monkeypatch, "evaluate", *words, "data=events.csv", "split=leave_one_out") == 0
    alone = json.loads(capfd.readouterr().out)
    assert typed(monkeypatch, "evaluate", "popular", *words) == 0
    beside = json.loads(capfd.readouterr().out)
    assert alone["test"]["certificate"] == beside["test"]["certificate"]
    assert alone["test"]["ndcg@2"] == beside["test"]["ndcg@2"]
    assert "differences" not in alone["test"]
    assert (
        typed(monkeypatch, "evaluate", *words, "--data", "events.csv", "--part", "validation", "--hide", "nothing") == 0
    )
    assert json.loads(capfd.readouterr().out)["validation"]["certificate"]["hidden"] == "nothing"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "no run is named; give the folder of a run, or --recommendations FILE with a run or with data="),
        (("popular", "--columns", "user=who"), 2, "--columns are about --recommendations FILE"),
        (("--recommendations", "recs.csv"), 2, "nobody says on which data; name a run, or data=events.csv"),
        (("--recommendations", "recs.csv", "data=a.csv", "--data", "b.csv"), 2, "data are given more than once"),
        (("popular", "--recommendations", "recs.csv", "--candidates", "uniform:2"), 2, "no scores of drawn items"),
        (("popular", "--recommendations", "recs.csv"), 3, "recs.csv: there is no column 'user'"),
        (("popular", "--recommendations", "none.csv"), 3, "none.csv"),
        (("popular", "--recommendations", "bad.csv"), 3, "bad.csv:3: the score is 'high'"),
        (("--recommendations", "bad.csv", "data=events.csv", "encoder.dim=8"), 2, "encoder"),
    ],
)
def test_what_cannot_be_measured_is_said(
    words: tuple[str, ...], code: int, told: str, shop: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(shop)
    (shop / "bad.csv").write_text("user,item,score\nu00,i00,1\nu00,i01,high\n", encoding="utf-8")
    assert typed(monkeypatch, "evaluate", *words) == code
    assert told in capfd.readouterr().err

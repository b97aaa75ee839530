"""`nextitem recommend` as a user types it."""

import json
from pathlib import Path

import polars as pl
import pytest

from nextitem.cli.options import ids_between_commas
from nextitem.data.reading.files import places_of
from worlds.command_line import typed

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A popularity ranking of the items i00 … i19, of which `whole` has seen all and u00 … u10 six each."""
    folder = tmp_path_factory.mktemp("shop")
    visits = [(f"u{user:02}", f"i{(7 * user + 3 * step) % 20:02}") for user in range(11) for step in range(6)]
    visits += [("whole", f"i{item:02}") for item in range(20)]
    pl.DataFrame(visits, schema=["user", "item"], orient="row").write_csv(folder / "events.csv")
    with pytest.MonkeyPatch.context() as patch:
        words = (f"data={folder / 'events.csv'}", "--out", str(folder / "runs"))
        assert typed(patch, "train", "popularity", *words) == 0
    return next(entry for entry in (folder / "runs").iterdir() if entry.name != ".partial")


def test_line_breaks_and_commas_stand_between_ids(run: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    for users in ("u03\nu04", "u03,u04", "u03\r\nu04\n", " u03 ,\n u04,", '"u03","u04"'):
        assert typed(monkeypatch, "recommend", str(run), "--users", users, "--k", "1") == 0
        assert [line.split(",")[0] for line in capfd.readouterr().out.splitlines()] == ["user", "u03", "u04"]


def test_a_folder_of_runs_names_them_and_check_says_what_a_run_is_for(
    run: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    assert typed(monkeypatch, "recommend", str(run.parent), "--users", "u00") == 4
    assert f"it has no manifest.json, but 1 run in it ({run.name}); give a folder that" in capfd.readouterr().err
    assert typed(monkeypatch, "check", str(run)) == 2
    assert f"{run} is a run, and check is about logs; `nextitem evaluate {run}` proves" in capfd.readouterr().err


def test_k_has_a_short_name(run: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    for words in (("-k", "2"), ("-k2",), ("--k", "2")):
        assert typed(monkeypatch, "recommend", str(run), "--users", "u03", *words) == 0
        assert len(capfd.readouterr().out.splitlines()) == 1 + 2


@pytest.mark.parametrize("option", ["--users", "--candidates", "--exclude"])
@pytest.mark.parametrize("text", ["", " ", ",", "\n"])
def test_no_id_is_a_mistake(option: str, text: str, run: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    users = () if option == "--users" else ("--users", "u00")
    assert typed(monkeypatch, "recommend", str(run), *users, option, text) == 2
    assert f"{option} takes ids of" in capfd.readouterr().err


def test_a_quote_that_is_never_closed_ends_with_the_text() -> None:
    assert ids_between_commas('a,"b') == ["a", "b"]


def test_users_without_a_list_are_counted_and_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    out = tmp_path / "lists.parquet"
    assert typed(monkeypatch, "recommend", str(run), "--users", "all", "--k", "3", "--out", str(out)) == 0
    err = capfd.readouterr().err
    assert "note: 1 user gets no list (has seen all items): 'whole'" in err
    assert "33 recommendations for 11 of 12 users in" in err
    assert typed(monkeypatch, "recommend", str(run), "--users", "whole,u01,U02", "--k", "1", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["users"], told["answered"], told["unknown_users"], told["nothing_left_for"]) == (
        3,
        1,
        ["U02"],
        ["whole"],
    )


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_file_without_any_list_keeps_its_columns_and_types(
    ending: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / f"lists{ending}"
    assert typed(monkeypatch, "recommend", str(run), "--users", "whole", "--out", str(out)) == 0
    if ending == ".parquet":
        types = {"user": pl.String, "rank": pl.Int64, "item": pl.String, "score": pl.Float64, "source": pl.String}
        assert pl.read_parquet(out).schema == types
    else:
        assert out.read_text() == ("user,rank,item,score,source\n" if ending == ".csv" else "")


def test_integers_stay_integers_where_they_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    rows = "".join(f"{user},{item}\n" for user in range(5) for item in range(10, 14) if (user + item) % 5)
    (tmp_path / "events.csv").write_text(f"user,item\n{rows}")
    words = (f"data={tmp_path / 'events.csv'}", "--out", str(tmp_path / "runs"), "--json")
    assert typed(monkeypatch, "train", "popularity", *words) == 0
    capfd.readouterr()
    numbers = next(entry for entry in (tmp_path / "runs").iterdir() if entry.name != ".partial")
    assert typed(monkeypatch, "recommend", str(numbers), "--users", "1,2", "--out", str(tmp_path / "l.parquet")) == 0
    assert pl.read_parquet(tmp_path / "l.parquet").schema["user"] == pl.Int64


def test_candidates_and_exclusions_are_ids_or_files_of_them(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    (tmp_path / "candidates.txt").write_text("item\ni01\ni02\ni03\ni04\nnope\n")
    pl.DataFrame({"item": ["i04"]}).write_parquet(tmp_path / "blocked.parquet")
    monkeypatch.chdir(tmp_path)
    words = ("--candidates", "candidates.txt", "--exclude", "i02", "--hide", "nothing")
    assert typed(monkeypatch, "recommend", str(run), "--users", "u00", *words) == 0
    out, err = capfd.readouterr()
    assert sorted(line.split(",")[2] for line in out.splitlines()[1:]) == ["i01", "i03", "i04"]
    assert "note: --candidates: 5 items by the file candidates.txt" in err
    assert "note: 1 of 5 items of --candidates is unknown to the run: 'nope'" in err
    words = ("--candidates", "i03,i04", "--exclude", "blocked.parquet", "--hide", "nothing")
    assert typed(monkeypatch, "recommend", str(run), "--users", "u00", *words) == 0
    assert [line.split(",")[2] for line in capfd.readouterr().out.splitlines()[1:]] == ["i03"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--users", "u00", "--candidates", "x"), 3, "1 of 1 item of --candidates is unknown to the run: 'x'"),
        (("--users", "u00", "--exclude", "blocked.tx"), 3, "or the path of a file of them"),
        (("--users", "u00", "--exclude", "i01,x", "--refuse-unknown"), 3, "leave --refuse-unknown out"),
        (("--users", "u00", "--candidates", "i01", "--exclude", "i01"), 2, "leave no item to recommend"),
        (("--users", "u00,u99", "--refuse-unknown"), 3, "1 of 2 users is unknown to the run: 'u99'"),
        (("--users", "u99"), 3, "1 of 1 user is unknown to the run: 'u99'"),
        (("--users", "u00", "--histories-only"), 2, "are about --histories FILE; leave them out"),
        (("--users", "u00", "--columns", "user=v"), 2, "are about --histories FILE; leave them out"),
        (("--users", "u00", "--k", "3.5"), 2, "Invalid value for '--k'"),
        (("--users", "u00", "-k", "0"), 2, "Invalid value for '--k'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: tuple[str, ...], code: int, message: str, run: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    assert typed(monkeypatch, "recommend", str(run), *words) == code
    out, err = capfd.readouterr()
    assert (out, message in err) == ("", True), err


def test_events_of_a_file_go_on_from_stored_histories_unless_they_stand_alone(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    (tmp_path / "today.csv").write_text("user,item\nu01,i00\nnew,i05\nnew,gone\n")
    words = ("recommend", str(run), "--histories", str(tmp_path / "today.csv"), "--k", "99", "--json")
    seen = {f"i{(7 + 3 * step) % 20:02}" for step in range(6)}
    for more, hidden in (((), seen | {"i00"}), (("--histories-only",), {"i00"})):
        assert typed(monkeypatch, *words, *more) == 0
        out, err = capfd.readouterr()
        told = json.loads(out)
        items = {row["item"] for row in told["recommendations"] if row["user"] == "u01"}
        assert items == {f"i{item:02}" for item in range(20)} - hidden
        assert (told["continued"], told["unknown_events"]) == (0 if more else 1, 1)
        assert "row 4, user 'new', item 'gone'" in err
        assert ("go on from what the run has stored" in err) is not bool(more)
    assert typed(monkeypatch, *words, "--refuse-unknown") == 3
    assert "row 4, user 'new', item 'gone'; refit with them, or leave --refuse-unknown out" in capfd.readouterr().err


def test_what_is_noted_is_in_the_json_too(run: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    words = ("--users", "u00,U01", "--exclude", "i03,~gone", "--json")
    assert typed(monkeypatch, "recommend", str(run), *words) == 0
    out, err = capfd.readouterr()
    notes = json.loads(out)["notes"]
    assert [note.partition(":")[0] for note in notes] == [
        "1 of 2 items of --exclude is unknown to the run", "1 of 2 users is unknown to the run",
    ]  # fmt: skip
    assert all(f"note: {note}\n" in err for note in notes)


def test_rows_of_unknown_items_are_read_once(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    read = []
    monkeypatch.setattr("nextitem.cli.recommend.places_of", lambda *asked: read.append(asked) or places_of(*asked))
    (tmp_path / "today.csv").write_text("user,item\n\nu01,a\nu01,b\nu02,i00\n")
    assert typed(monkeypatch, "recommend", str(run), "--histories", str(tmp_path / "today.csv"), "--k", "1") == 0
    err = capfd.readouterr().err
    assert "row 3, user 'u01', item 'a'; row 4, user 'u01', item 'b'" in err
    assert len(read) == 1
    (tmp_path / "tomorrow.csv").write_text("user,item\nu02,c\n")
    assert typed(monkeypatch, "recommend", str(run), "--histories", str(tmp_path / "to*.csv"), "--k", "1") == 0
    assert (
        "row 4 of today.csv, user 'u01', item 'b'; row 2 of tomorrow.csv, user 'u02', item 'c'"
        in capfd.readouterr().err
    )


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose items have genres and a year: every other one is a comedy, all of the others are dramas."""
    folder = tmp_path_factory.mktemp("films")
    visits = [(f"u{user:02}", f"i{(7 * user + 3 * step) % 20:02}") for user in range(11) for step in range(6)]
    pl.DataFrame(visits, schema=["user", "item"], orient="row").write_csv(folder / "events.csv")
    rows = [(f"i{n:02}", f"Film {n}", "Drama" if n % 2 else "Comedy", 1980 + n) for n in range(20)]
    pl.DataFrame(rows, schema=["item", "title", "genres", "year"], orient="row").write_csv(folder / "films.csv")
    with pytest.MonkeyPatch.context() as patch:
        words = (f"data={folder / 'events.csv'}", f"items={folder / 'films.csv'}", "--out", str(folder / "runs"))
        columns = ("--item-columns", "id=item,title=title,categories=genres,numbers=year")
        assert typed(patch, "train", "popularity", *words, *columns) == 0
    return next(entry for entry in (folder / "runs").iterdir() if entry.name != ".partial")


def lists(films: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture, *words: str) -> pl.DataFrame:
    assert typed(monkeypatch, "recommend", str(films), "--users", "u00,u01", *words) == 0
    return pl.read_csv(capfd.readouterr().out.encode())


def test_lists_hold_what_fulfils_conditions(films: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    found = lists(films, monkeypatch, capfd, "--where", "genres=Comedy, year<1990", "--k", "9")
    assert {int(item[1:]) % 2 for item in found["item"]} == {0}
    assert max(int(item[1:]) for item in found["item"]) < 10
    assert typed(monkeypatch, "recommend", str(films), "--users", "u00", "--where", "genre=Comedy") == 2
    assert "the items have no column 'genre'; did you mean 'genres'?" in capfd.readouterr().err
    assert typed(monkeypatch, "recommend", str(films), "--users", "u00", "--where", "year>2100") == 2
    assert "--where leaves no item to recommend" in capfd.readouterr().err


def test_lists_hold_no_more_of_a_category_than_asked_for_also_in_files(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    found = lists(films, monkeypatch, capfd, "--limit", "genres=2", "--k", "9")
    assert found.group_by("user").len()["len"].to_list() == [4, 4]
    out = tmp_path / "lists.csv"
    words = ("--users", "u00,u01", "--limit", "genres=2", "--k", "9", "--out", str(out))
    assert typed(monkeypatch, "recommend", str(films), *words) == 0
    assert pl.read_csv(out).equals(found)
    (tmp_path / "today.csv").write_text("user,item\nnew,i01\nu00,i02\n")
    terms = ("--where", "year>1984", "--limit", "genres=2", "--diversity", "0.5", "--k", "9")
    words = ("recommend", str(films), "--histories", str(tmp_path / "today.csv"), *terms)
    capfd.readouterr()
    assert typed(monkeypatch, *words) == 0
    found = pl.read_csv(capfd.readouterr().out.encode())
    assert found.group_by("user", maintain_order=True).len().rows() == [("new", 4), ("u00", 4)]
    assert typed(monkeypatch, *words, "--out", str(tmp_path / "parts"), "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert pl.read_parquet(tmp_path / "parts" / "part-00000.parquet").equals(found)
    assert (told["users"], told["answered"], told["continued"], told["parts"]) == (2, 2, 1, 1)
    assert typed(monkeypatch, "recommend", str(films), "--users", "u00", "--limit", "genres") == 2
    assert "--limit 'genres' should be a column and a number, such as genres=2" in capfd.readouterr().err


def test_diversity_needs_no_vectors(films: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    plain, diverse = (lists(films, monkeypatch, capfd, "--diversity", weight, "--k", "5") for weight in ("0", "0.9"))
    assert plain["item"].to_list() != diverse["item"].to_list()
    assert plain["item"][0] == diverse["item"][0]

"""The verbs as a user types them: results on stdout, everything else on stderr, one message and an exit code."""

import functools
import itertools
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from nextitem.cli.options import ids_between_commas
from worlds.command_line import typed

SMALL = ("encoder.dim=8", "objective.maximum_length=8", "training.epochs=2", "training.patience=none")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small log of events whose columns have names of their own."""
    folder = tmp_path_factory.mktemp("shop")
    visits = [(f"v{v:02}", f"{(v + step * (1 + v % 3)) % 13:03}", 100 + step) for v in range(40) for step in range(8)]
    pl.DataFrame(visits, schema=["visitor", "sku", "ts"], orient="row").write_csv(folder / "events.csv")
    return folder


@pytest.fixture(scope="module")
def trained(shop: Path) -> Path:
    """The folder of a run on these events."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(shop)
        assert typed(patch, "train", "sasrec-ce", "data=events.csv", "--columns", COLUMNS, *SMALL) == 0
    return next(entry for entry in (shop / "runs").iterdir() if entry.name != ".partial")


COLUMNS = "user=visitor,item=sku,time=ts"


def test_a_run_prints_its_metrics_and_its_folder(trained: Path) -> None:
    assert trained.name.endswith("-sasrec-ce-events")
    assert {file.name for file in trained.iterdir()} >= {"metrics.json", "model.safetensors", "manifest.json"}


def test_train_prints_one_json_object(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    words = ("train", "popularity", "data=events.csv", "--columns", COLUMNS, "--json", "--out", "elsewhere")
    assert typed(monkeypatch, *words) == 0
    out, err = capfd.readouterr()
    metrics = json.loads(out)
    assert set(metrics) >= {"test", "validation", "best_epoch", "train_seconds", "certificate", "provenance"}
    assert metrics["certificate"]["cases"] == 40
    assert [*metrics["baselines"]] == ["recent_popularity", "co_occurrence"]
    assert "popularity on events.csv, leave-one-out split, seed 0" in err


def test_what_only_counts_stands_beside_a_model_unless_it_is_not_wanted(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    words = ("train", "co-occurrence", "model.window=3", "data=events.csv", "--columns", COLUMNS, "--out", "elsewhere")
    assert typed(monkeypatch, *words) == 0
    shown = capfd.readouterr().out
    assert "counting alone, on the same test cases" in shown
    assert re.search(r"^│ recent-popularity +│ +[01]\.\d{4} │ +[01]\.\d{4} │ +[+-]0\.\d{4} │", shown, re.MULTILINE)
    assert typed(monkeypatch, *words, "--no-baselines") == 0
    assert "counting alone" not in capfd.readouterr().out


def test_counting_takes_its_own_seconds_and_all_of_it_more(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    words = ("train", "co-occurrence", "data=events.csv", "--columns", COLUMNS, "--out", "elsewhere")
    assert typed(monkeypatch, *words) == 0
    assert re.search(r"^[\d.]+ s of counting, [\d.]+ s in all\.", capfd.readouterr().out, re.MULTILINE)
    metrics = json.loads(next(Path("elsewhere").glob("*co-occurrence*/metrics.json")).read_text(encoding="utf-8"))
    assert metrics["train_seconds"] >= 0


def test_a_setting_that_a_baseline_does_not_have_is_refused(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    words = ("train", "co-occurrence", "data=events.csv", "--columns", COLUMNS, "--out", "elsewhere")
    assert typed(monkeypatch, *words, "model.window=2", "encoder.window=3") == 2
    assert "encoder (command line): no such key; it belongs to model=sequence" in capfd.readouterr().err


def test_evaluate_repeats_the_reported_number(
    shop: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    assert typed(monkeypatch, "evaluate", str(trained), "--json") == 0
    again = json.loads(capfd.readouterr().out)["test"]
    stored = json.loads((trained / "metrics.json").read_text(encoding="utf-8"))
    assert again["ndcg@10"] == stored["test"]["ndcg@10"]
    assert again["certificate"] == stored["certificate"]


def test_notes_on_the_data_are_shown_before_training_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{user},{item}\n" for user in ("ann", "bob") for item in "abcda")
    (tmp_path / "events.csv").write_text(f"user,item\n{rows}cia,a\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "train", "sasrec-ce", "data=events.csv", *SMALL, "--json") == 0
    out, err = capfd.readouterr()
    kept = json.loads(out)["notes"]
    assert [note.split(" and ")[0] for note in kept] == [
        "no column of times among user, item: the order of rows is taken for time",
        "2 events repeat an item of the same user", "1 user with fewer than 3 events is trained on but not evaluated",
        "2 of 2 test targets repeat the history: they cannot be hit, since hide=history; hide=nothing ranks them",
    ]  # fmt: skip
    assert json.loads(out)["test"]["ceiling"] == 0
    lines = err.splitlines()
    assert [line for line in lines if line.startswith("note: ")] == [f"note: {note}" for note in kept]
    assert max(lines.index(f"note: {note}") for note in kept) < lines.index(
        next(line for line in lines if line.startswith("epoch 1 "))
    )


def test_repeats_may_be_hit_in_training_and_in_an_evaluation_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"u{user:02},{'abcdefgh'[user // 3 * 2 + event % 2]}\n" for user in range(12) for event in range(8))
    (tmp_path / "events.csv").write_text(f"user,item\n{rows}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "train", "co-occurrence", "data=events.csv", "hide=nothing") == 0
    table = capfd.readouterr().out
    assert re.search(r"ceiling +│ +1\.0000 │ +1\.0000 │", table)
    run = table.rpartition("run: ")[2].strip()
    for hide, ceiling in (((), "1.0000"), (("--hide", "last:1"), "1.0000"), (("--hide", "history"), "0.0000")):
        assert typed(monkeypatch, "evaluate", run, *hide) == 0
        assert re.search(rf"ceiling +│ {re.escape(ceiling)} │", capfd.readouterr().out)
    # After a, b, … a, b comes a, which the history holds.
    for hide, is_repeated in (((), True), (("--hide", "last:1"), True), (("--hide", "history"), False)):
        assert typed(monkeypatch, "recommend", run, "--users", "u00", "--k", "1", *hide) == 0
        _, *lists = capfd.readouterr().out.splitlines()
        assert [line.split(",")[2] == "a" for line in lists] == [is_repeated]
    assert typed(monkeypatch, "recommend", run, "--users", "u00", "--hide", "seen") == 2
    assert typed(monkeypatch, "evaluate", run, "--hide", "everything") == 2
    assert "hide='everything' should be history, nothing, or last:n" in capfd.readouterr().err


def test_a_k_beyond_the_catalogue_needs_no_room(
    shop: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    assert typed(monkeypatch, "evaluate", str(trained), "--metrics", "hit_rate@9999999999", "--json") == 0
    assert 0 < json.loads(capfd.readouterr().out)["test"]["hit_rate@9999999999"] <= 1
    assert typed(monkeypatch, "recommend", str(trained), "--users", "v00", "--k", "999999999") == 0
    assert 1 < len(capfd.readouterr().out.splitlines()) <= 1 + 13


def test_evaluate_refuses_other_data_than_it_was_trained_on(
    shop: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    lines = (shop / "events.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "events.csv").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    assert typed(monkeypatch, "evaluate", str(trained), "--data", str(tmp_path / "events.csv")) == 3
    assert "is not the data that" in capfd.readouterr().err


def test_recommend_answers_users_of_the_run_as_csv(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "recommend", str(trained), "--users", "v00,v07", "--k", "2") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "user,rank,item,score,source"
    assert [line.split(",")[:2] for line in lines[1:]] == [["v00", "1"], ["v00", "2"], ["v07", "1"], ["v07", "2"]]


@pytest.mark.parametrize(
    ("typed_in", "ids"),
    [("a,b", ["a", "b"]), (' a, "u,1" ', ["a", "u,1"]), ('"all"', ["all"]), ('a"b', ['a"b']), ("", [])],
)
def test_users_are_told_apart_by_commas_and_quotes(typed_in: str, ids: list[str]) -> None:
    assert ids_between_commas(typed_in) == ids


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_recommend_answers_histories_of_a_file_in_a_file(
    trained: Path, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "today.csv").write_text("user,item,ts\nnew,001,1\nnew,002,2\nother,003,3\n", encoding="utf-8")
    out = tmp_path / f"lists{ending}"
    words = ("recommend", str(trained), "--histories", str(tmp_path / "today.csv"), "--k", "3", "--out", str(out))
    assert typed(monkeypatch, *words) == 0
    read = {".csv": pl.read_csv, ".jsonl": pl.read_ndjson, ".parquet": pl.read_parquet}[ending]
    assert read(out)["user"].to_list() == ["new"] * 3 + ["other"] * 3
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["today.csv", out.name])


def test_recommend_takes_the_columns_that_the_run_was_trained_with(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    newest_first = "ts,sku,visitor\n3,003,ann\n2,002,ann\n1,001,ann\n"
    (tmp_path / "today.csv").write_text(newest_first, encoding="utf-8")
    (tmp_path / "inorder.csv").write_text(
        "user,item,datetime\nann,001,1970-01-01\nann,002,1970-01-02\nann,003,1970-01-03\n"
    )
    (tmp_path / "rows.csv").write_text("user,item\nann,001\nann,002\nann,003\n")
    answers = []
    for name, more in (("today", ()), ("inorder", ()), ("rows", ("--columns", "order=rows"))):
        words = ("recommend", str(trained), "--histories", str(tmp_path / f"{name}.csv"), "--k", "3", *more)
        assert typed(monkeypatch, *words) == 0
        out, err = capfd.readouterr()
        answers.append(out)
        assert err.startswith("note: ")
        assert {"today": "column 'ts' orders", "inorder": "column 'datetime' orders", "rows": "order=rows"}[name] in err
    assert answers[0] == answers[1] == answers[2]
    assert typed(monkeypatch, "recommend", str(trained), "--histories", str(tmp_path / "rows.csv")) == 3
    assert "learnt from events in the order of 'ts'" in " ".join(capfd.readouterr().err.split())


def test_print_config_names_the_source_of_each_setting(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "train", "sasrec-ce", "data=ml-1m", "encoder.dim=32", "--print-config") == 0
    lines = capfd.readouterr().out.splitlines()
    assert "encoder.dim = 32  # command line" in lines
    assert "objective.maximum_length = 200  # profile ml-1m of sasrec-ce" in lines
    assert "training.batch_size = 128  # default" in lines
    assert "negatives = none  # default" in lines


def test_print_config_names_the_option_that_gave_the_columns(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("train", "popularity", "data=events.csv", "--columns", "user=007", "--print-config")
    assert typed(monkeypatch, *words) == 0
    assert 'columns.user = "007"  # --columns' in capfd.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("train", "sasrec-ec"), 2, "did you mean 'sasrec-ce'"),
        (("train",), 2, "Missing argument 'recipe'"),
        (("trian",), 2, "No such command 'trian'"),
        (("train", "sasrec-ce", "training.epochs=0"), 2, "training.epochs = 0 (command line)"),
        (("train", "sasrec-ce", "--seed", "-1"), 2, "greater than or equal to 0"),
        (("train", "sasrec-ce", "data=ml1m"), 2, "did you mean 'ml-1m'"),
        (("train", "sasrec-ce", "data=nowhere.csv"), 3, "there is no file nowhere.csv"),
        (("train", "sasrec-ce", "data=events.csv", "columns.user=who"), 3, "there is no column 'who'"),
        (("train", "popularity", "data=ml-1m", "--columns", "item=sku"), 2, "ml-1m is a dataset with its own"),
        (("train", "popularity", "data=events.csv", "--columns", COLUMNS, "columns.user=v"), 2, "one of the two"),
        (("train", "sasrec-ce", "--device", "gpu"), 2, "--device gpu"),
        (("train", "sasrec-ce", "--resume", "--fresh"), 2, "give one"),
        (
            ("train", "caser", "--no-users"),
            2,
            "can answer the users it knows only, and --no-users would leave them out",
        ),
        (("evaluate", "nowhere"), 4, "nowhere is not a run"),
        (("recommend", "nowhere"), 2, "give either --users"),
        (("recommend", "nowhere", "--users", "v00", "--out", "lists.xlsx"), 2, "known: .csv, .jsonl, .parquet"),
    ],
)
def test_a_mistake_is_one_message_and_its_exit_code(
    words: tuple[str, ...],
    code: int,
    message: str,
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(shop)
    assert typed(monkeypatch, *words) == code
    out, err = capfd.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_events_without_anything_to_train_on_are_bad_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "events.csv").write_text("user,item\nann,a\nann,b\nann,c\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "train", "sasrec-ce", "data=events.csv") == 3
    assert "of 1 user none has enough training events for a window" in capfd.readouterr().err


def test_an_unknown_user_is_named(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "recommend", str(trained), "--users", "v00,v99", "--k", "1") == 0
    assert "note: 1 of 2 users is unknown to the run: 'v99'; left out" in capfd.readouterr().err


def test_who_presses_ctrl_c_twice_gets_the_same_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_words: object, **_named: object) -> None:
        raise KeyboardInterrupt

    def pressing(text: str) -> str:
        signal.raise_signal(signal.SIGINT)
        return text

    monkeypatch.setattr("nextitem.cli.app.app", interrupted)
    monkeypatch.setattr("nextitem.compute.streams.visible", pressing)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert typed(monkeypatch, "recipes") == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err.startswith("interrupted; on the CPU")


def test_an_interrupted_training_is_not_lost_by_typing_the_same_again(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    data = str(shop / "events.csv")
    endless = ("training.epochs=1000000", "training.patience=none")  # it is stopped by the signal and nothing else
    settings = ("train", "sasrec-ce", f"data={data}", *SMALL[:2], *endless, "--out", str(tmp_path / "runs"))
    command = [sys.executable, "-m", "nextitem", *settings, "--columns", COLUMNS, "--threads", "1"]
    # A test run in the background may ignore the signal, and would pass that on.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        assert process.stderr is not None
        said = [*itertools.takewhile(lambda line: not line.startswith("epoch 1 "), process.stderr)]
        process.send_signal(signal.SIGINT)  # that epoch is on disk, or the process has ended by itself
        said += process.stderr
    assert process.returncode == 130, "".join(said)
    assert "interrupted" in said[-1]
    assert typed(monkeypatch, *command[3:]) == 2
    assert "go on with it by --resume, or discard it by --fresh" in capfd.readouterr().err


def test_a_log_is_prepared_once_and_trained_on(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    words = ("filters.minimum_per_item=2", "--columns", COLUMNS, "--out", "prepared")
    assert typed(monkeypatch, "prepare", "events.csv", *words) == 0
    assert capfd.readouterr().out == "prepared: prepared (320 events of 40 users and 13 items)\n"
    assert typed(monkeypatch, "train", "popularity", "data=prepared", "--json", "--out", "mapped") == 0
    assert json.loads(capfd.readouterr().out)["certificate"]["cases"] == 40
    assert typed(monkeypatch, "check", "prepared", "--json") == 0
    assert json.loads(capfd.readouterr().out)["columns"] == {"user": "visitor", "item": "sku", "time": "ts"}
    assert typed(monkeypatch, "check", "prepared", "hide=nothing") == 0
    assert "as was asked for" in capfd.readouterr().out
    (shop / "prepared" / "items.parquet").write_bytes(b"x" * (shop / "prepared" / "items.parquet").stat().st_size)
    assert typed(monkeypatch, "check", "prepared") == 4
    assert "items.parquet was altered" in capfd.readouterr().err


def test_check_says_what_is_in_a_log(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    assert typed(monkeypatch, "check", "events.csv") == 0
    out, err = capfd.readouterr()
    assert out.startswith("events.csv\n")
    assert "  columns           user 'visitor', item 'sku', time 'ts'\n" in out
    assert all(f"\n  {name}" in out for name in ("events", "lengths", "repeats", "bots", "popularity", "hide=history"))
    assert "note: column 'ts' orders the events of a user; users are in 'visitor', items in 'sku'\n" in err
    words = ("check", "events.csv", "--columns", COLUMNS, "filters.minimum_per_item=3", "--json")
    assert typed(monkeypatch, *words) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["size"]["events"] <= found["size"]["events_read"]
    assert typed(monkeypatch, "check", "nowhere.csv") == 3
    assert typed(monkeypatch, "check", "events.csv", "columns.order=rows") == 0
    assert "as columns.order=rows asks" in capfd.readouterr().err
    assert typed(monkeypatch, "check", "events.csv", "--columns", "user=visitor", "columns.user=sku") == 2


def test_a_column_called_none_is_named_by_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_text("none,007,time\na,x,1\na,y,2\na,z,3\n")
    monkeypatch.chdir(tmp_path)
    for verb, more in (("check", ()), ("prepare", ("--out", "p"))):
        assert typed(monkeypatch, verb, "log.csv", "--columns", "user=none,item=007", *more) == 0
        assert "users are in 'none', items in '007'" in capfd.readouterr().err


def test_check_writes_a_page_and_a_recipe_that_trains(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    assert typed(monkeypatch, "check", "events.csv", "--write", "mine.json") == 2
    assert "a recipe is a .toml file" in capfd.readouterr().err
    words = ("--columns", COLUMNS, "--html", "page.html", "--write", "mine.toml")
    assert typed(monkeypatch, "check", "events.csv", *words) == 0
    err = capfd.readouterr().err
    assert "recipe: mine.toml; train it by `nextitem train mine.toml`\n" in err
    assert (shop / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert typed(monkeypatch, "train", "mine.toml", "training.epochs=1", "--no-report", "--json") == 0
    (shop / "few.csv").write_text("user,item\nann,x\nbob,x\n")
    capfd.readouterr()
    assert typed(monkeypatch, "check", "few.csv", "--write", "few.toml") == 3
    out, err = capfd.readouterr()
    assert "2 events of 2 users and 1 item" in out
    assert "of 2 users none has 3 events" in err
    assert not (shop / "few.toml").exists()

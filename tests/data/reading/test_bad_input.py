"""Every kind of bad input has a message of its own, with file, row, value and remedy: `worlds.bad_input` lists them."""

import re
from pathlib import Path

import pytest

from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import prepare
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions, read_parts
from nextitem.data.reading.rejected import RejectedRows
from nextitem.errors import DataError
from nextitem.experiment.presets import load_recipe
from worlds.bad_input import ACCEPTED, REFUSED, Read, Refused
from worlds.command_line import typed

CASES = [
    pytest.param(case, id=f"{theme}: {case[0]}, {case[1].partition('.')[2]}")
    for theme, cases in REFUSED.items()
    for case in cases
]


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_in_words_of_its_own_whole_and_in_parts(tmp_path: Path, case: Refused) -> None:
    _, name, content, said = case
    file = tmp_path / name
    file.write_bytes(content)
    messages = []
    for read in (read_interactions, lambda file: list(read_parts(file, events=2))):
        with pytest.raises(DataError) as caught:
            read(file)
        assert caught.value.exit_code == 3
        messages.append(str(caught.value))
    for message in messages:
        assert message.startswith(str(file))
        assert re.match(said, message.removeprefix(str(file)), re.DOTALL), message
        assert len(message) < 700
    assert messages[0] == messages[1]


@pytest.mark.parametrize("case", [case for case in CASES if re.match(r":[0-9]", case.values[0][3])])  # type: ignore[union-attr, index, arg-type]
def test_one_bad_row_is_all_that_is_lost_where_bad_rows_are_skipped(tmp_path: Path, case: Refused) -> None:
    _, name, content, _ = case
    file = tmp_path / name
    file.write_bytes(content)
    rejected = RejectedRows()
    try:
        read_interactions(file, Columns(on_bad_rows="skip"), rejected=rejected)
    except DataError as error:
        assert "no row that can be used" in str(error) or re.search(":1: |longer than 16", str(error))  # noqa: PT017
        return
    assert len(rejected) == 1


@pytest.mark.parametrize("verb", ["check", "prepare", "train"])
@pytest.mark.parametrize("case", CASES[::9])
def test_a_verb_ends_with_exit_code_3_and_the_message(
    tmp_path: Path, case: Refused, verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, name, content, said = case
    file = tmp_path / name
    file.write_bytes(content)
    words = {
        "check": ("check", str(file)),
        "prepare": ("prepare", str(file), "--out", str(tmp_path / "log")),
        "train": ("train", "popularity", f"data={file}", "--out", str(tmp_path / "runs")),
    }[verb]
    assert typed(monkeypatch, *words) == 3
    shown = "".join(capsys.readouterr().err.split())
    assert re.search(re.sub(r"\s+", "", re.escape(str(file)) + said), shown)
    assert "Traceback" not in shown
    assert not (tmp_path / "log").exists()


# What looks odd and is no error


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: f"{case[0]}, {case[1]}")
def test_it_is_read(tmp_path: Path, case: Read) -> None:
    _, name, content, expected = case
    file = tmp_path / name
    file.write_bytes(content)
    events = read_interactions(file).events
    assert events.select("user", "item").rows() == expected


def test_events_out_of_order_are_put_in_order_and_ties_stay_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user,item,time\na,late,30\na,tied,20\na,first,10\na,tied too,20\na,tied too,20\n"
    )
    log = read_interactions(tmp_path / "log.csv")
    assert log.in_time_order()["item"].to_list() == ["first", "tied", "tied too", "tied too", "late"]
    assert (log.tied_events, log.repeated_events) == (3, 1)


def test_a_link_to_nothing_a_missing_file_and_an_empty_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere.csv")
    (tmp_path / "folder").mkdir()
    for name, said in (("log.csv", "there is no file"), ("link.csv", "is a link to nothing"), ("folder", "folder")):
        with pytest.raises(DataError, match=said) as caught:
            read_interactions(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


# What is wrong with a log whose rows are all right


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        ([f"u{n % 4},i{n}" for n in range(8)], (), r"of 4 users none has 3 events.*leave-one-out needs"),
        (
            [f"u{n % 2},i{n % 5}" for n in range(20)],
            ("filters.minimum_per_user=99",),
            "the filters leave none of 20 events: minimum_per_user=99 and minimum_per_item=1, applied until nothing",
        ),
    ],
    ids=["all users under 3 events", "k-core leaves nothing"],
)
def test_a_log_of_which_nothing_is_left_is_refused(
    tmp_path: Path, rows: list[str], settings: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "log.csv"
    file.write_text("\n".join(["user,item", *rows]) + "\n")
    with pytest.raises(DataError, match=said):
        prepare(load_recipe("popularity", f"data={file}", *settings))
    with pytest.raises(DataError, match=said):
        prepare_into(tmp_path / "log", str(file), settings)


def test_a_log_of_one_item_is_evaluated(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("user,item\n" + "a,x\n" * 4 + "b,x\n" * 4)
    prepared = prepare(load_recipe("popularity", f"data={file}"))
    assert len(prepared.log.items) == 1
    assert any("6 events repeat an item" in note for note in prepared.notes)


def test_ids_that_look_alike_are_kept_apart_and_told_of(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("user,item,time\n" + "".join(
        f"a,{item},{number}\n"
        for number, item in enumerate(["Pen", "pen", "pe\u200bn", "p\u0435n", "\uff50en", "ink", "007", "7", "pe n"])
    ))  # fmt: skip
    prepared = prepare(load_recipe("popularity", f"data={file}"))
    assert len(prepared.log.items) == 9
    (note,) = [note for note in prepared.notes if "look like" in note]
    assert note.startswith(
        "6 item ids look like another one (case, blanks, invisible characters or alike letters): 'Pen'"
    )


def test_times_before_1990_and_to_come_are_told_of(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("user,item,time\na,x,-5\na,y,7\na,z,9999999999\n")
    notes = " ".join(prepare(load_recipe("popularity", f"data={file}")).notes)
    assert "2 events lie before 1990: check the unit of times" in notes
    assert "1 event lies in the future: check the unit of times" in notes
    told = " ".join(prepare_into(tmp_path / "log", str(file)).notes)
    assert "1 event lies in the future" in told

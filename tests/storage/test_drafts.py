"""What a process leaves that is killed while it writes is gone, or right again, at the next start."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nextitem.storage import drafts, whole_file, whole_folder

WRITING = """
    import os, signal, sys
    from pathlib import Path
    from nextitem.storage import whole_file, whole_folder

    def end():
        print("begun", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def wait():
        print("begun", flush=True)
        sys.stdin.read()

    place = Path(sys.argv[1])
"""


def start(code: str, place: Path) -> subprocess.Popen[str]:
    """A process that has come to where it says `begun`."""
    process = subprocess.Popen(
        (sys.executable, "-c", textwrap.dedent(WRITING) + textwrap.dedent(code), str(place)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def end(process: subprocess.Popen[str]) -> int:
    process.communicate()
    return process.returncode


def killed(code: str, place: Path) -> None:
    assert end(start(code, place)) == -signal.SIGKILL


FOLDER = """
    with whole_folder(place) as draft:
        (draft / "scratch").write_bytes(bytes(1000))
        {then}()
"""
FILE = """
    with whole_file(place) as draft:
        draft.write_text("half")
        {then}()
"""


@pytest.mark.parametrize(("code", "other"), [(FOLDER, True), (FILE, False)])
def test_what_a_killed_process_left_goes_at_the_next_start_in_that_folder(
    code: str, other: bool, tmp_path: Path
) -> None:
    killed(code.format(then="end"), tmp_path / "result")
    assert len(list(tmp_path.iterdir())) == 1
    with whole_folder(tmp_path / ("another" if other else "result")) as draft:
        assert list(tmp_path.iterdir()) == [draft]


@pytest.mark.parametrize("code", [FOLDER, FILE])
def test_what_a_living_process_is_at_stays(code: str, tmp_path: Path) -> None:
    process = start(code.format(then="wait"), tmp_path / "result")
    (theirs,) = tmp_path.iterdir()
    with whole_file(tmp_path / "result.txt") as draft:
        assert {*tmp_path.iterdir()} == {theirs, draft}
        draft.write_text("ours")
    assert theirs.exists()
    assert end(process) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"result", "result.txt"}


def test_two_at_once_in_one_process_do_not_take_each_other_for_dead(tmp_path: Path) -> None:
    with whole_file(tmp_path / "one") as one, whole_file(tmp_path / "two") as two, whole_folder(tmp_path / "three"):
        one.write_text("1")
        two.write_text("2")
    assert [(tmp_path / name).read_text() for name in ("one", "two")] == ["1", "2"]


def test_what_another_machine_left_or_somebody_calls_alike_stays(tmp_path: Path) -> None:
    elsewhere = "0000" if drafts._HERE != "0000" else "1111"
    names = [
        f".study-{elsewhere}00000000.draft",
        f".study-{drafts._HERE}00000000",
        f"study-{drafts._HERE}00000000.draft",
        ".study-0123abcd",
        ".draft",
    ]
    for name in names:
        (tmp_path / name).write_text("kept")
    (tmp_path / "precious").mkdir()
    (tmp_path / f".study-{drafts._HERE}11111111.draft").symlink_to(tmp_path / "precious")
    with whole_file(tmp_path / "page.html") as draft:
        draft.write_text("1")
    assert all((tmp_path / name).read_text() == "kept" for name in names)
    assert (tmp_path / "precious").is_dir()


BETWEEN = """
    rename = os.rename

    def rename_once(first, second):
        rename(first, second)
        end()

    os.rename = rename_once
    with whole_folder(place, replace=True) as draft:
        (draft / "table.json").write_text("later")
"""


def test_results_that_a_kill_left_without_a_name_have_it_again_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "table.json").write_text("earlier")
    killed(BETWEEN, tmp_path / "study")
    assert not (tmp_path / "study").exists()
    drafts.tidy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["study"]
    assert (tmp_path / "study" / "table.json").read_text() == "earlier"


AFTER = """
    replace = os.replace

    def replace_once(first, second):
        replace(first, second)
        end()

    os.replace = replace_once
    with whole_file(place) as draft:
        draft.write_text("later")
"""


def test_a_kill_after_the_new_file_has_its_name_leaves_that_file(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("earlier")
    killed(AFTER, tmp_path / "page.html")
    drafts.tidy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text() == "later"


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_name_that_somebody_planted_is_left_alone(
    is_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["aaaaaaaa", "bbbbbbbb"])
    monkeypatch.setattr("nextitem.storage.drafts.secrets.token_hex", lambda _bytes: next(drawn))
    (tmp_path / "precious").write_text("precious")
    planted = tmp_path / f".result-{drafts._HERE}aaaaaaaa.draft"
    planted.symlink_to(tmp_path / "precious")
    with drafts.draft_of(tmp_path / "result", is_folder=is_folder) as draft:
        assert draft.name == f".result-{drafts._HERE}bbbbbbbb.draft"
    assert planted.is_symlink()
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("name", ["x" * 255, "漢" * 85, "é" * 127])
def test_a_name_may_be_as_long_as_the_system_takes_it(name: str, tmp_path: Path) -> None:
    for _ in range(2):
        with whole_file(tmp_path / name) as draft:
            draft.write_text("1")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_where_there_are_no_locks_nothing_is_taken_for_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(FOLDER.format(then="end"), tmp_path / "result")

    def unknown(descriptor: int, how: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", unknown)
    with whole_folder(tmp_path / "another"):
        pass
    assert len(list(tmp_path.iterdir())) == 2
    assert list((tmp_path / "another").iterdir()) == []

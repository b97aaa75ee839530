"""What is written appears whole and stays, whenever the power goes; a folder is one process's as long as that lives."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nextitem.data.mapped.folder import is_prepared, verify
from nextitem.data.mapped.writing import prepare_into
from nextitem.errors import ConfigurationError, StorageError
from nextitem.experiment.folder.found import is_run
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.storage import alone_in, clear, publish, whole_file, whole_folder
from worlds.killed import SOFTMAX, train
from worlds.power_loss import Disk
from worlds.small_runs import chains, log_of, outcome, write_csv
from worlds.stored_runs import FILES, NAME, written

EVERY = sorted(FILES)

Follow = Callable[[Callable[[Path], None]], Disk]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def follow(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Follow]:
    """Looks at what would be left of `root`, from here on after each call that changes it."""
    disks: list[Disk] = []

    def made(after: Callable[[Path], None]) -> Disk:
        disks.append(Disk(root, monkeypatch, after))
        return disks[-1]

    yield made
    for disk in disks:
        disk.close()


def tree(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_a_run_is_on_disk_before_the_checkpoint_goes(root: Path, follow: Follow) -> None:
    outcome(NAME)
    workplace = Workplace(root, NAME, 0)
    workplace.partial.mkdir(parents=True)
    workplace.checkpoint.write_bytes(b"the work of hours")
    disk = follow(lambda _left: None)
    folder = written(root)
    draft = f".partial/{NAME}-seed0/run"
    place = {call: number for number, call in enumerate(disk.calls)}
    renamed = place[f"rename {draft} -> {folder.name}"]
    for name in EVERY:
        assert place[f"fsync {draft}/{name}"] < place[f"fsync {draft}"]
    assert (
        place[f"fsync {draft}"]
        < renamed
        < place["fsync ."]
        < place[f"unlink .partial/{NAME}-seed0/checkpoint.safetensors"]
    )
    assert [call for call in disk.calls if call.startswith("rename")] == [disk.calls[renamed]]


def test_whenever_the_power_goes_there_is_the_run_or_what_goes_on_to_it(root: Path, follow: Follow) -> None:
    outcome(NAME)
    workplace = Workplace(root, NAME, 0)
    workplace.partial.mkdir(parents=True)
    workplace.checkpoint.write_bytes(b"the work of hours")
    seen = set()

    def look(left: Path) -> None:
        finished = [folder for folder in left.iterdir() if is_run(folder)]
        there = Workplace(left, NAME, 0).checkpoint
        seen.add((len(finished), there.exists()))
        for folder in finished:
            read_run(folder).proven()
        assert finished or there.read_bytes() == b"the work of hours"

    follow(look)
    with workplace.alone():
        written(root)
    assert seen == {(0, True), (1, True), (1, False)}


def test_a_prepared_folder_is_absent_or_whole_whenever_the_power_goes(root: Path, follow: Follow) -> None:
    file, seen = write_csv(log_of(chains()), root / "log.csv"), []

    def look(left: Path) -> None:
        seen.append(is_prepared(left / "prepared"))
        if (left / "prepared").exists():
            verify(left / "prepared")

    follow(look)
    prepare_into(root / "prepared", str(file))
    assert seen[0] is False
    assert seen[-2:] == [True, True]  # on either kind of system


def test_results_give_way_only_to_results_that_are_on_disk(root: Path, follow: Follow) -> None:
    earlier, later = {"table.json": "1", "figure.svg": "one"}, {"table.json": "2", "results.md": "two"}
    (root / "study").mkdir()
    for name, content in earlier.items():
        (root / "study" / name).write_text(content)
    seen = []

    def look(left: Path) -> None:
        if (left / "study").exists():
            assert tree(left / "study") in (earlier, later)
            seen.append(tree(left / "study"))
        else:  # between the two renames
            assert earlier in [tree(folder) for folder in left.iterdir()]

    follow(look)
    with whole_folder(root / "study", replace=True) as draft:
        for name, content in later.items():
            (draft / name).write_text(content)
    assert seen[0] == earlier
    assert seen[-2:] == [later, later]
    assert [path.name for path in root.iterdir()] == ["study"]


def test_an_epoch_gives_way_only_to_an_epoch_that_is_on_disk(root: Path, follow: Follow) -> None:
    file, seen = root / "new" / "place" / "checkpoint.safetensors", list[bytes]()

    def look(left: Path) -> None:
        found = left / file.relative_to(root)
        seen.append(found.read_bytes() if found.exists() else b"none yet")

    follow(look)
    train(SOFTMAX, file)
    assert len({*seen}) == 1 + 4  # epochs, and nothing between them
    assert b"" not in seen
    assert seen[-2:] == [file.read_bytes()] * 2  # on either kind of system


def test_a_file_gives_way_only_to_a_file_that_is_on_disk(root: Path, follow: Follow) -> None:
    (root / "page.html").write_text("earlier")
    seen = []
    disk = follow(lambda left: seen.append((left / "page.html").read_text()))
    with whole_file(root / "page.html") as draft:
        draft.write_text("later")
    assert disk.calls == ["fsync draft", "replace draft -> page.html", "fsync .", "unlink draft"]
    assert seen == ["earlier", "earlier", "earlier", *["later"] * 5]  # on lazy and eager systems, after each


def test_what_was_there_is_there_again_when_the_new_one_cannot_take_its_name(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "study").mkdir()
    (root / "study" / "table.json").write_text("earlier")
    rename = os.rename

    def fails_once(first: Path, second: Path) -> None:
        if (first / "table.json").read_text() == "later":
            raise OSError(errno.EIO, "Input/output error")
        rename(first, second)

    monkeypatch.setattr(os, "rename", fails_once)
    message = r"cannot write .*study: .*Input/output error"
    with pytest.raises(StorageError, match=message), whole_folder(root / "study", replace=True) as draft:
        (draft / "table.json").write_text("later")
    assert [path.name for path in root.iterdir()] == ["study"]
    assert tree(root / "study") == {"table.json": "earlier"}


@pytest.mark.parametrize("is_there", [True, False])
def test_of_two_that_replace_a_folder_at_once_the_later_one_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    if is_there:
        (root / "study").mkdir()
        (root / "study" / "table.json").write_text("earlier")
    rename, others = os.rename, [True]

    def between(first: Path, second: Path) -> None:
        if others and first.name.endswith(".draft"):  # another process ends at this very moment
            others.clear()
            (root / "study").mkdir()
            (root / "study" / "table.json").write_text("another")
        rename(first, second)

    monkeypatch.setattr(os, "rename", between)
    with whole_folder(root / "study", replace=True) as draft:
        (draft / "table.json").write_text("later")
    assert [path.name for path in root.iterdir()] == ["study"]
    assert tree(root / "study") == {"table.json": "later"}


@pytest.mark.parametrize(
    ("umask", "folders", "files"), [(0o022, 0o755, 0o644), (0o027, 0o750, 0o640), (0o077, 0o700, 0o600)]
)
def test_who_may_read_is_what_the_umask_says(umask: int, folders: int, files: int, root: Path) -> None:
    before = os.umask(umask)
    try:
        run = written(root)
        with whole_folder(root / "study") as draft:
            (draft / "within").mkdir()
            (draft / "within" / "table.json").touch(0o600)
        train(SOFTMAX, root / "place" / "checkpoint.safetensors")
    finally:
        os.umask(before)
    made = [root / "study", run, root / "study" / "within", root / "place"]
    assert {path.stat().st_mode & 0o777 for path in made} == {folders}
    assert {path.stat().st_mode & 0o777 for folder in made for path in folder.iterdir() if path.is_file()} == {files}


def test_a_system_that_cannot_sync_a_folder_does_without(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unknown)
    with whole_folder(root / "study") as draft:
        (draft / "table.json").write_text("1")
    assert tree(root / "study") == {"table.json": "1"}


def test_what_cannot_be_put_on_disk_does_not_appear(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StorageError, match="Input/output error"), whole_folder(root / "study") as draft:
        (draft / "table.json").write_text("1")
    with pytest.raises(OSError, match="Input/output error"), whole_file(root / "page.html") as page:
        page.write_text("1")
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "/", "folder"])
def test_a_folder_is_no_file_to_write(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "folder").mkdir()
    monkeypatch.chdir(root)
    with pytest.raises(IsADirectoryError, match="Is a directory"), whole_file(Path(name)):
        pass


def test_a_name_that_is_taken_is_refused(root: Path) -> None:
    (root / "study").mkdir()
    message = "study exists already; remove it, or choose another --out"
    with pytest.raises(ConfigurationError, match=message), whole_folder(root / "study"):
        pass


def test_without_a_name_that_is_free_nothing_is_published(root: Path) -> None:
    for name in ("draft", "first", "second"):
        (root / name).mkdir()
        (root / name / "content").write_text(name)
    with pytest.raises(OSError, match=r"all names for .*draft are taken"):
        publish(root / "draft", [root / "first", root / "second"])
    assert publish(root / "draft", [root / "first", root / "third"]) == root / "third"
    assert tree(root / "third") == {"content": "draft"}


def test_a_folder_is_held_against_others_and_leaves_no_trace(root: Path) -> None:
    message = r"another process does in .*place; wait for it, or choose another --out"
    with alone_in(root / "deep" / "place", "does"):
        with pytest.raises(ConfigurationError, match=message), alone_in(root / "deep" / "place", "does"):
            pass
        (root / "deep" / "place" / "result").write_text("1")
    assert tree(root / "deep" / "place") == {"result": "1"}


def test_what_is_cleared_is_still_held(root: Path) -> None:
    with alone_in(root / "place", "does"):
        (root / "place" / "folder").mkdir()
        (root / "place" / "folder" / "file").write_text("1")
        (root / "place" / ".hidden").write_text("1")
        clear(root / "place")
        with pytest.raises(ConfigurationError, match="another process"), alone_in(root / "place", "does"):
            pass
    assert list(root.iterdir()) == []


def test_who_dies_holds_nothing(root: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from nextitem.storage import alone_in\n"
        "with alone_in(Path(sys.argv[1]), 'does'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(root / "place")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdin is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(ConfigurationError, match="another process does in"), alone_in(root / "place", "does"):
        pass
    other.kill()
    other.wait()
    other.stdin.close()
    other.stdout.close()
    with alone_in(root / "place", "does"):
        pass
    assert list(root.iterdir()) == []


def refusing(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """That folder's names can no more be put on disk."""
    fsync, number = os.fsync, folder.stat().st_ino

    def fails(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == number:
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    patch.setattr(os, "fsync", fails)


@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize("earlier", ["earlier", None])
def test_a_file_whose_name_cannot_be_put_on_disk_gives_way_to_the_earlier_one(
    earlier: str | None, has_links: bool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if earlier:
        (root / "page.html").write_text(earlier)

    def unknown(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not has_links:
        monkeypatch.setattr(os, "link", unknown)
    refusing(monkeypatch, root)
    with pytest.raises(OSError, match="Input/output error"), whole_file(root / "page.html") as draft:
        draft.write_text("later")
    kept = "later" if earlier and not has_links else earlier  # without a second name it cannot be had back
    assert [path.read_text() for path in root.iterdir()] == ([kept] if kept else [])


@pytest.mark.parametrize("earlier", ["earlier", None])
def test_a_folder_whose_name_cannot_be_put_on_disk_gives_way_to_the_earlier_one(
    earlier: str | None, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if earlier:
        (root / "study").mkdir()
        (root / "study" / "table.json").write_text(earlier)
    refusing(monkeypatch, root)
    for replace in (True, False) if earlier is None else (True,):
        with (
            pytest.raises(StorageError, match="Input/output error"),
            whole_folder(root / "study", replace=replace) as draft,
        ):
            (draft / "table.json").write_text("later")
    assert [tree(path) for path in root.iterdir()] == ([{"table.json": earlier}] if earlier else [])


def test_folders_that_were_made_for_nothing_go_again(root: Path) -> None:
    with pytest.raises(StorageError), whole_folder(root / "deep" / "place" / "study"):
        raise OSError(errno.ENOSPC, "No space left on device")
    (root / "file").write_text("1")
    with pytest.raises(StorageError, match="cannot write to"), alone_in(root / "file" / "place", "does"):
        pass
    assert [path.name for path in root.iterdir()] == ["file"]


def test_a_link_is_written_through(root: Path) -> None:
    (root / "real").mkdir()
    (root / "real" / "page.html").write_text("earlier")
    (root / "page.html").symlink_to("real/page.html")
    (root / "dangling.html").symlink_to("real/new.html")
    (root / "study").symlink_to("real/study")
    for name in ("page.html", "dangling.html"):
        with whole_file(root / name) as draft:
            draft.write_text(name)
    for content in ("1", "2"):
        if content == "2":
            with whole_folder(root / "study", replace=True) as draft:
                (draft / "table.json").write_text(content)
        else:
            (root / "real" / "study").mkdir()
    assert all((root / name).is_symlink() for name in ("page.html", "dangling.html", "study"))
    assert tree(root / "real") == {"page.html": "page.html", "new.html": "dangling.html"}
    assert tree(root / "study") == {"table.json": "2"}
    assert {path.name for path in (root / "real").iterdir()} == {"page.html", "new.html", "study"}


def test_a_link_to_itself_is_refused(root: Path) -> None:
    (root / "page.html").symlink_to("page.html")
    with pytest.raises(OSError, match="symbolic links"), whole_file(root / "page.html"):
        pass
    assert (root / "page.html").is_symlink()


@pytest.mark.parametrize("target", ["nowhere", "file"])
def test_a_name_that_is_a_link_or_a_file_is_taken(target: str, root: Path) -> None:
    (root / "file").write_text("1")
    (root / "prepared").symlink_to(target)
    with pytest.raises(ConfigurationError, match="prepared exists already"), whole_folder(root / "prepared"):
        pass
    with pytest.raises(ConfigurationError, match="file exists already"), whole_folder(root / "file", replace=True):
        pass


def test_a_pipe_is_written_to_and_stays_one(root: Path) -> None:
    os.mkfifo(root / "pipe")
    reader = os.open(root / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with whole_file(root / "pipe") as draft:
        draft.write_text("through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO((root / "pipe").stat().st_mode)
    assert [path.name for path in root.iterdir()] == ["pipe"]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs the device that is always full")
def test_a_device_is_written_to_and_stays_one() -> None:
    with pytest.raises(OSError, match="No space left on device"), whole_file(Path("/dev/full")) as draft:
        draft.write_text("1")
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody can make one")
def test_a_folder_that_cannot_be_made_is_not_said_to_be_another_process_s() -> None:
    message = r"cannot write to /proc/x/place: .*; choose another"
    with pytest.raises(StorageError, match=message), alone_in(Path("/proc/x/place"), "does"):
        pass

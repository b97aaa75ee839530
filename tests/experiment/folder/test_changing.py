"""A run that is changed is the earlier one or the new one, whenever the process is killed."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from nextitem.experiment.folder.changing import changed_run
from nextitem.experiment.folder.reading import read_run
from worlds.stored_runs import written


def change(folder: Path) -> None:
    with changed_run(read_run(folder)) as draft:
        (draft / "README.md").write_text("changed")


def killed_at(number: int, work: Callable[[], None]) -> bool:
    """Whether the process that did the work was killed at the n-th of its syncs and renamings."""
    child = os.fork()
    if child == 0:
        calls = 0
        sync, rename = os.fsync, Path.rename

        def counted() -> None:
            nonlocal calls
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)

        def fsync(descriptor: int) -> None:
            counted()
            sync(descriptor)

        def renamed(path: Path, target: Path) -> Path:
            counted()
            return rename(path, target)

        os.fsync, Path.rename = fsync, renamed  # type: ignore[method-assign, assignment]
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_kill_at_any_moment_leaves_a_whole_run(tmp_path: Path) -> None:
    kept = written(tmp_path / "kept")
    before, found, number = (kept / "README.md").read_text(), set[str](), 0
    while True:
        number += 1
        folder = Path(shutil.copytree(kept, tmp_path / f"at{number}" / "run"))
        was_killed = killed_at(number, lambda folder=folder: change(folder))  # type: ignore[misc]
        read_run(folder).proven()
        found.add((folder / "README.md").read_text())
        if not was_killed:
            break
        change(folder)  # and the next one works
        assert {one.name for one in folder.parent.iterdir()} <= {"run", ".partial"}
    assert number > 5
    assert found == {before, "changed"}


def test_what_another_process_changes_is_left_to_it(tmp_path: Path) -> None:
    run = read_run(written(tmp_path))
    with changed_run(run), pytest.raises(Exception, match="another process changes the run"), changed_run(run):
        pass

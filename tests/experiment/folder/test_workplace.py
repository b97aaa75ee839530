"""Where a run is made: whole or absent, one process at a time, never in another's place."""

import fcntl
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

import nextitem.experiment.folder.writing
from nextitem.errors import ConfigurationError, StorageError
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import settle_earlier
from worlds.parts import with_parts
from worlds.small_runs import RECIPES
from worlds.stored_runs import NAME, written


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("sasrec-ce", "ml-1m", "sasrec-ce-ml-1m"),
        ("sasrec-ce", "logs/2026/Events of May.csv.gz", "sasrec-ce-Events-of-May"),
        ("..", "../..", "..-"),
    ],
)
def test_a_workplace_is_named_by_recipe_and_data_and_stays_in_its_root(name: str, data: str, expected: str) -> None:
    workplace = Workplace.of(Path("runs"), Recipe(name=name, data=data), 3)
    assert workplace.name == expected
    assert workplace.partial.parent == Path("runs") / ".partial"
    assert workplace.partial.name.startswith(f"{expected}-seed3-")
    assert workplace.checkpoint.parent == workplace.partial


@pytest.mark.parametrize("place", ["write_tensors", "model_card", "write_parquet", "publish"])
def test_a_run_that_cannot_be_written_in_full_is_absent(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace = Workplace(tmp_path, NAME, 0)
    workplace.partial.mkdir(parents=True)
    workplace.checkpoint.write_bytes(b"the work of hours")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(nextitem.experiment.folder.writing, place, fail)
        with pytest.raises(StorageError, match=r"cannot write the run .*No space left on device.*free space"):
            written(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".partial"]
    assert list(workplace.partial.iterdir()) == [workplace.checkpoint]
    assert workplace.checkpoint.read_bytes() == b"the work of hours"
    assert read_run(written(tmp_path)).recipe == RECIPES[NAME]  # the next attempt
    assert not workplace.checkpoint.exists()


def test_an_interruption_while_writing_leaves_nothing_but_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(nextitem.experiment.folder.writing, "publish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".partial"]
    assert list((tmp_path / ".partial").glob("*/*")) == []


def test_what_a_killed_attempt_left_is_cleared_by_the_next_one(tmp_path: Path) -> None:
    remains = Workplace(tmp_path, NAME, 0).partial / "run.1" / "model.safetensors"
    remains.parent.mkdir(parents=True)
    remains.write_bytes(b"half of it")
    written(tmp_path)
    assert list((tmp_path / ".partial").glob("*/*")) == []


def test_clearing_a_workplace_leaves_those_of_other_seeds(tmp_path: Path) -> None:
    for seed in (1, 2):
        (Workplace(tmp_path, NAME, seed).partial / "run").mkdir(parents=True)
        Workplace(tmp_path, NAME, seed).checkpoint.write_bytes(b"an epoch")
    Workplace(tmp_path, NAME, 1).clear()
    Workplace(tmp_path, NAME, 3).clear()  # nothing there
    left = Workplace(tmp_path, NAME, 2)
    assert set((tmp_path / ".partial").glob("*/*")) == {left.partial / "run", left.checkpoint}


def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    folders = [written(tmp_path) for _ in range(3)]
    assert [folder.name.removeprefix("20260102-030405-") for folder in folders] == [NAME, f"{NAME}-2", f"{NAME}-3"]
    assert len({read_run(folder).folder for folder in folders}) == 3


def test_a_name_that_is_taken_at_the_last_moment_is_not_fought_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that end in the same second: the other one's folder appears while ours is being written."""
    publish = nextitem.experiment.folder.writing.publish
    rival = tmp_path / f"20260102-030405-{NAME}"

    def overtaken(draft: Path, names: Iterable[Path]) -> Path:
        shutil.copytree(draft, rival)
        return publish(draft, names)

    monkeypatch.setattr(nextitem.experiment.folder.writing, "publish", overtaken)
    assert written(tmp_path) == rival.with_name(f"{rival.name}-2")
    assert read_run(rival).recipe == RECIPES[NAME]


def test_a_root_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StorageError, match="cannot write the run"):
        written(tmp_path / "runs")


def test_two_processes_never_train_the_same_in_one_place(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path, "same", 0)
    message = r"another process trains the same in .*same-seed0"
    with workplace.alone(), pytest.raises(ConfigurationError, match=message), workplace.alone():
        pass
    with workplace.alone():  # free again
        assert workplace.partial.is_dir()


def test_a_training_that_goes_on_is_not_discarded_by_another_process(tmp_path: Path) -> None:
    workplace, cpu = Workplace(tmp_path, "same", 0), torch.device("cpu")
    with workplace.alone():
        workplace.checkpoint.write_bytes(b"an epoch")
        for resume, fresh in ((False, False), (True, False), (False, True)):
            with pytest.raises(ConfigurationError, match="another process trains the same"):
                settle_earlier(workplace, cpu, resume=resume, fresh=fresh)
        assert workplace.checkpoint.read_bytes() == b"an epoch"
    assert settle_earlier(workplace, cpu, resume=True, fresh=False)
    assert not settle_earlier(workplace, cpu, resume=False, fresh=True)
    assert not workplace.checkpoint.exists()


def test_a_place_that_was_taken_away_meanwhile_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a process that ends between our opening of its lock and our holding it."""
    workplace, lock, calls = Workplace(tmp_path / "runs", "same", 0), fcntl.flock, 0

    def late(descriptor: int, how: int) -> None:
        nonlocal calls
        calls += how != fcntl.LOCK_UN
        if calls == 1:
            shutil.rmtree(workplace.partial)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with workplace.alone(), pytest.raises(ConfigurationError, match="another process"), workplace.alone():
        pass
    assert calls == 3


def test_what_stays_empty_is_gone_after_an_error(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "deep" / "runs", "same", 0)
    with pytest.raises(ZeroDivisionError), workplace.alone():
        print(1 / 0)
    assert list(tmp_path.iterdir()) == []
    workplace.partial.mkdir(parents=True)
    workplace.checkpoint.write_bytes(b"an epoch")
    with pytest.raises(ZeroDivisionError), workplace.alone():
        print(1 / 0)
    assert workplace.checkpoint.exists()


def test_other_settings_have_a_folder_of_their_own(tmp_path: Path) -> None:
    recipe = RECIPES["sasrec-ce"]
    other = with_parts(recipe, encoder=recipe.sequence.encoder.model_copy(update={"dim": 4}))
    assert Workplace.of(tmp_path, recipe, 0).partial != Workplace.of(tmp_path, other, 0).partial


def test_a_place_that_cannot_be_written_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file, not a folder", encoding="utf-8")
    workplace = Workplace(tmp_path / "runs", "name", 0)
    with pytest.raises(StorageError, match=r"cannot write to .*; choose another --out"), workplace.alone():
        pass

"""What a run leaves on disk, and what is read back of it."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

import nextitem.runs
from nextitem.errors import ArtefactError, ConfigurationError, StorageError
from nextitem.experiment import run
from nextitem.recipe import Recipe
from nextitem.runs import MANIFEST, Workplace, metrics_of, read_run, weights_of, write_run
from small_runs import ITEMS, RECIPES, USERS, chains, log_of, metrics, outcome, prepared_from, sha256

FILES = {
    "README.md", "history.jsonl", "items.parquet", "manifest.json", "metrics.json", "model.safetensors",
    "ranks.parquet", "recipe.json", "users.parquet",
}  # fmt: skip
NAME = "sasrec-ce"


def written(root: Path, name: str = NAME, *, with_users: bool = True) -> Path:
    return write_run(Workplace(root, name, 0), RECIPES[name], outcome(name), metrics(name), with_users=with_users)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def folder(stored: Path, tmp_path: Path) -> Path:
    """A copy of the run, to do anything to."""
    return shutil.copytree(stored, tmp_path / "run")


def declare(folder: Path, **changes: object) -> None:
    """Write the manifest anew, as somebody would who alters files on purpose; None leaves a file out of it."""
    files = sorted(file for file in folder.iterdir() if file.name != MANIFEST)
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    kept = {name: value for name, value in (sums | changes).items() if value is not None}
    (folder / MANIFEST).write_text(json.dumps({"sha256": kept}))


@pytest.mark.parametrize("name", RECIPES)
def test_every_kind_of_model_leaves_the_same_files(name: str, tmp_path: Path) -> None:
    folder = written(tmp_path, name)
    assert folder.parent == tmp_path
    assert {file.name for file in folder.iterdir()} == FILES
    assert [path.name for path in tmp_path.iterdir() if path != folder] == [".partial"]
    assert list((tmp_path / ".partial").iterdir()) == []


def test_the_folder_is_named_by_time_and_name(stored: Path) -> None:
    assert stored.name == "20260102-030405-sasrec-ce"


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


def test_the_recipe_is_stored_in_full(stored: Path) -> None:
    content = (stored / "recipe.json").read_text()
    assert Recipe.model_validate_json(content) == RECIPES[NAME]
    assert json.loads(content)["encoder"]["dropout"] == 0.1  # a default


def test_the_recipe_of_a_baseline_is_stored_without_what_it_does_not_use(tmp_path: Path) -> None:
    folder = written(tmp_path, "co-occurrence")
    assert set(json.loads((folder / "recipe.json").read_text())) == {
        "name", "data", "columns", "preparation", "baseline",
    }  # fmt: skip
    assert read_run(folder).recipe == RECIPES["co-occurrence"]
    assert (
        "(co_occurrence) over 12 items, counted on the training events of 30 users.\n"
        in (folder / "README.md").read_text()
    )


def test_metrics_are_those_of_the_outcome(stored: Path) -> None:
    found = json.loads((stored / "metrics.json").read_text())
    reports = outcome(NAME).test, outcome(NAME).validation
    for part, report in zip(("test", "validation"), reports, strict=True):
        assert {name: found[part][name] for name in report.means} == report.means
        assert found[part]["intervals"]["ndcg@10"] == list(report.intervals["ndcg@10"])
    assert found["certificate"]["split"] == outcome(NAME).prepared.split.test.sha256
    assert (found["epochs"], found["best_epoch"]) == (2, outcome(NAME).history.best_epoch)
    assert found["parameters"] == sum(weight.numel() for weight in outcome(NAME).model.state_dict().values())
    assert (found["provenance"]["seed"], found["provenance"]["data"]) == (0, "synthetic")
    assert {"nextitem", "torch", "python", "device", "threads", "processor"} <= found["provenance"].keys()


def test_a_baseline_has_no_epochs_and_no_parameters() -> None:
    found = metrics("popularity")
    assert (found["epochs"], found["best_epoch"], found["train_seconds"], found["parameters"]) == (0, 0, 0, 0)
    assert "test_upper_bound" not in found


def test_a_known_upper_bound_is_reported() -> None:
    bounded = replace(outcome(NAME), upper_bound={"ndcg@10": 0.75})
    assert metrics_of(bounded, {})["test_upper_bound"] == {"ndcg@10": 0.75}


def test_history_has_a_line_an_epoch(stored: Path) -> None:
    lines = [json.loads(line) for line in (stored / "history.jsonl").read_text().splitlines()]
    assert lines == outcome(NAME).history.as_lines()
    assert [line["epoch"] for line in lines] == [1, 2]


def test_ranks_are_per_case_in_raw_ids(stored: Path) -> None:
    """The mean over users of 1 / log2(rank + 1) is the reported NDCG, computed here from the file alone."""
    ranks = pl.read_parquet(stored / "ranks.parquet")
    assert ranks.columns == ["part", "user", "target", "above", "tied"]
    assert ranks["part"].to_list() == ["validation"] * USERS + ["test"] * USERS
    for part, place in (("validation", -2), ("test", -1)):
        targets = ranks.filter(pl.col("part") == part)["target"].to_list()
        assert targets == [f"i{history[place]:02}" for history in chains()]
    assert ranks["tied"].to_list() == [0] * 2 * USERS
    gain = pl.when(pl.col("above") < 10).then(1 / (pl.col("above") + 2).log(2)).otherwise(0)
    means = ranks.group_by("part").agg(gain.mean().alias("ndcg"))
    found = dict(means.iter_rows())
    assert found["test"] == pytest.approx(outcome(NAME).test.means["ndcg@10"])
    assert found["validation"] == pytest.approx(outcome(NAME).validation.means["ndcg@10"])


def test_items_are_stored_in_index_order_with_training_counts_and_titles(stored: Path) -> None:
    items = pl.read_parquet(stored / "items.parquet")
    trained = [item for history in chains() for item in history[:-2]]
    assert items["item"].to_list() == [f"i{item:02}" for item in range(ITEMS)]
    assert items["count"].to_list() == [trained.count(item) for item in range(ITEMS)]
    assert items["title"].to_list() == ["The First"] + [None] * (ITEMS - 1)


def test_users_are_stored_with_their_whole_histories(stored: Path) -> None:
    users = pl.read_parquet(stored / "users.parquet")
    assert users["user"].to_list() == [f"u{user:02}" for user in range(USERS)]
    assert users["history"].to_list() == chains()


def test_users_can_be_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path, with_users=False)
    assert {file.name for file in folder.iterdir()} == FILES - {"users.parquet"}
    assert read_run(folder).users is None


@pytest.mark.parametrize("name", RECIPES)
def test_weights_are_stored_bit_by_bit(name: str, tmp_path: Path) -> None:
    folder = written(tmp_path, name)
    assert sha256(load_file(folder / "model.safetensors")) == sha256(weights_of(outcome(name).model))


def test_the_model_card_tells_what_how_well_and_how_to_use_it(stored: Path) -> None:
    card, test = (stored / "README.md").read_text(), outcome(NAME).test
    assert card.startswith("# unnamed on synthetic\n")
    assert f"(sasrec, cross_entropy) over {ITEMS} items, trained on {USERS} users with seed 0" in card
    assert f"| {test.means['ndcg@10']:.4f} | {test.intervals['ndcg@10'][0]:.4f} – " in card
    assert "nextitem recommend <this folder>" in card


def test_the_manifest_names_every_other_file_by_its_sha256(stored: Path) -> None:
    sums = json.loads((stored / MANIFEST).read_text())["sha256"]
    assert sums == {
        name: hashlib.sha256((stored / name).read_bytes()).hexdigest() for name in sorted(FILES - {MANIFEST})
    }


def test_a_run_is_read_back_as_it_was_written(stored: Path) -> None:
    found = read_run(stored)
    assert (found.folder, found.recipe) == (stored, RECIPES[NAME])
    assert found.metrics == json.loads((stored / "metrics.json").read_text())
    assert sha256(found.weights) == sha256(outcome(NAME).model.state_dict())
    assert found.items["item"].len() == ITEMS
    assert found.users is not None
    assert found.users["history"].to_list() == chains()


@pytest.mark.parametrize("name", sorted(FILES - {MANIFEST}))
@pytest.mark.parametrize("change", ["one bit", "truncated", "longer"])
def test_any_altered_file_is_noticed(name: str, change: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    middle = len(content) // 2
    altered = {
        "one bit": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "truncated": content[:-1],
        "longer": content + b"\0",
    }[change]
    (folder / name).write_bytes(altered)
    with pytest.raises(ArtefactError, match=rf"{name} was altered: its sha256 is not the one in manifest\.json"):
        read_run(folder)


@pytest.mark.parametrize("name", sorted(FILES - {MANIFEST}))
def test_any_missing_file_is_noticed(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtefactError, match=rf"cannot be read as a run: .*{name}"):
        read_run(folder)


@pytest.mark.parametrize("name", ["recipe.json", "metrics.json", "model.safetensors", "items.parquet"])
def test_a_file_that_the_manifest_does_not_name_is_not_trusted(name: str, folder: Path) -> None:
    declare(folder, **{name: None})
    with pytest.raises(ArtefactError, match=f"cannot be read as a run: '{name}'"):
        read_run(folder)


def test_users_that_the_manifest_does_not_name_are_not_read(folder: Path) -> None:
    declare(folder, **{"users.parquet": None})
    assert read_run(folder).users is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"sha256": 3}', '{"sha256": ["recipe.json"]}', "\udcff"])
def test_a_manifest_that_is_none_is_refused(content: str, folder: Path) -> None:
    (folder / MANIFEST).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ArtefactError, match="cannot be read as a run"):
        read_run(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("recipe.json", b'{"encoder": {"name": "unheard-of"}}'),
        ("recipe.json", b"{"),
        ("metrics.json", b"\xff"),
        ("model.safetensors", b"not tensors"),
        ("items.parquet", b"not a table"),
        ("users.parquet", b"not a table"),
    ],
)
def test_a_file_of_other_content_is_refused_even_if_the_manifest_agrees(
    name: str, content: bytes, folder: Path
) -> None:
    (folder / name).write_bytes(content)
    declare(folder)
    with pytest.raises(ArtefactError, match="cannot be read as a run"):
        read_run(folder)


def test_a_folder_that_is_no_run_is_refused_with_advice(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ArtefactError, match=r"is not a run: it has no manifest\.json; give the folder that"):
            read_run(folder)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("name", sorted(FILES))
def test_nothing_is_ever_unpickled(name: str, folder: Path, tmp_path: Path) -> None:
    torch.save(Trap(tmp_path / "sprung"), folder / name)  # noqa: TID251 - the trap itself
    if name != MANIFEST:
        declare(folder)
    if name in ("README.md", "history.jsonl", "ranks.parquet"):
        read_run(folder)  # not needed to use a model
    else:
        with pytest.raises(ArtefactError):
            read_run(folder)
    assert not (tmp_path / "sprung").exists()
    torch.load((folder / name).rename(tmp_path / "trap.pt"), weights_only=False)  # noqa: TID251 - it would have
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("save_file", SafetensorError("No space left on device")),
        ("model_card", OSError(28, "No space left on device")),
        ("_ranks", pl.exceptions.ComputeError("No space left on device")),
        ("_write_manifest", OSError(28, "No space left on device")),
    ],
)
def test_a_run_that_cannot_be_written_in_full_is_absent(
    place: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace = Workplace(tmp_path, NAME, 0)
    workplace.partial.mkdir(parents=True)
    workplace.checkpoint.write_bytes(b"the work of hours")

    def fail(*arguments: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(nextitem.runs, place, fail)
        with pytest.raises(StorageError, match=r"cannot write the run .*No space left on device.*free space"):
            written(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".partial"]
    assert list(workplace.partial.iterdir()) == [workplace.checkpoint]
    assert workplace.checkpoint.read_bytes() == b"the work of hours"
    assert read_run(written(tmp_path)).recipe == RECIPES[NAME]  # the next attempt
    assert not workplace.partial.exists()


def test_an_interruption_while_writing_leaves_nothing_but_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(nextitem.runs, "_write_manifest", interrupt)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".partial"]
    assert list((tmp_path / ".partial").glob("*/*")) == []


def test_what_a_killed_attempt_left_is_cleared_by_the_next_one(tmp_path: Path) -> None:
    remains = Workplace(tmp_path, NAME, 0).partial / "run.1" / "model.safetensors"
    remains.parent.mkdir(parents=True)
    remains.write_bytes(b"half of it")
    written(tmp_path)
    assert list((tmp_path / ".partial").iterdir()) == []


def test_clearing_a_workplace_leaves_those_of_other_seeds(tmp_path: Path) -> None:
    for seed in (1, 2):
        Workplace(tmp_path, NAME, seed).partial.mkdir(parents=True)
    Workplace(tmp_path, NAME, 1).clear()
    Workplace(tmp_path, NAME, 3).clear()  # nothing there
    assert list((tmp_path / ".partial").iterdir()) == [Workplace(tmp_path, NAME, 2).partial]


def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    folders = [written(tmp_path) for _ in range(3)]
    assert [folder.name.removeprefix("20260102-030405-") for folder in folders] == [NAME, f"{NAME}-2", f"{NAME}-3"]
    assert len({read_run(folder).folder for folder in folders}) == 3


def test_a_name_that_is_taken_at_the_last_moment_is_not_fought_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that end in the same second: the other one's folder appears while ours is being written."""
    write_manifest = nextitem.runs._write_manifest
    rival = tmp_path / f"20260102-030405-{NAME}"

    def overtaken(folder: Path) -> None:
        write_manifest(folder)
        shutil.copytree(folder, rival)

    monkeypatch.setattr(nextitem.runs, "_write_manifest", overtaken)
    assert written(tmp_path) == rival.with_name(f"{rival.name}-2")
    assert read_run(rival).recipe == RECIPES[NAME]


def test_a_root_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StorageError, match="cannot write the run"):
        written(tmp_path / "runs")


def test_ids_that_are_numbers_stay_numbers(tmp_path: Path) -> None:
    log = log_of(chains())
    numbers = replace(log, events=log.events.with_columns(pl.col("user", "item").str.slice(1).cast(pl.Int64) * 100))
    trained = run(RECIPES["popularity"], seed=0, prepared=prepared_from(numbers))
    folder = write_run(Workplace(tmp_path, "p", 0), RECIPES["popularity"], trained, metrics("popularity"))
    found = read_run(folder)
    assert found.items["item"].to_list() == [100 * item for item in range(ITEMS)]
    assert found.users is not None
    assert found.users["user"].to_list() == [100 * user for user in range(USERS)]
    assert pl.read_parquet(folder / "ranks.parquet")["target"].dtype == pl.Int64


def test_two_processes_never_train_the_same_in_one_place(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path, "same", 0)
    message = r"another process trains the same in .*same-seed0"
    with workplace.alone(), pytest.raises(ConfigurationError, match=message), workplace.alone():
        pass
    with workplace.alone():  # free again
        assert workplace.partial.is_dir()


def test_other_settings_have_a_folder_of_their_own(tmp_path: Path) -> None:
    recipe = RECIPES["sasrec-ce"]
    other = recipe.model_copy(update={"encoder": recipe.encoder.model_copy(update={"dim": 4})})
    assert Workplace.of(tmp_path, recipe, 0).partial != Workplace.of(tmp_path, other, 0).partial


def test_a_place_that_cannot_be_written_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file, not a folder", encoding="utf-8")
    workplace = Workplace(tmp_path / "runs", "name", 0)
    with pytest.raises(StorageError, match=r"cannot write to .*; choose another --out"), workplace.alone():
        pass

"""Finished runs are found by what decides their result, and measured from their ranks."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from nextitem.errors import ArtefactError
from nextitem.experiment.folder.found import deciding, find_runs
from nextitem.experiment.folder.reading import COMPARED, Run, read_run
from nextitem.model.losses import CrossEntropy
from worlds.parts import with_parts
from worlds.small_runs import RECIPES, metrics, outcome
from worlds.stored_runs import NAME, written


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read_run(written(tmp_path_factory.mktemp("runs")))


def test_a_run_is_found_by_the_name_of_its_folder_too(run: Run) -> None:
    assert read_run(str(run.folder)).recipe == run.recipe


def test_any_metric_is_computed_from_the_ranks(run: Run) -> None:
    report = outcome(NAME).test
    values_CM = run.values(["ndcg@10", "hit_rate@10"])
    assert torch.equal(values_CM[:, 0], report.values["ndcg@10"].double())
    assert torch.equal(values_CM[:, 1], report.values["hit_rate@10"].double())
    ((first, third),) = run.values(["hit_rate@1", "hit_rate@3"]).mean(0, keepdim=True).tolist()
    assert 0 <= first <= third <= report.means["hit_rate@10"]


def test_a_metric_beyond_the_catalogue_counts_as_its_size(run: Run) -> None:
    assert torch.equal(run.values(["ndcg@500"]), run.values([f"ndcg@{run.metrics.certificate.candidates}"]))


def test_the_time_to_a_share_of_the_best_is_that_of_the_first_epoch_to_reach_it(run: Run) -> None:
    epochs = run.history
    assert epochs == outcome(NAME).history.epochs
    best = max(epoch.validation["ndcg@10"] for epoch in epochs)
    first = next(place for place, epoch in enumerate(epochs) if epoch.validation["ndcg@10"] >= 0.95 * best)
    assert run.seconds_to(0.95) == sum(epoch.train_seconds for epoch in epochs[: first + 1])


def test_a_model_that_only_counts_has_no_time_to_it(tmp_path: Path) -> None:
    assert read_run(written(tmp_path, "popularity")).seconds_to(0.95) is None


def test_names_places_and_chunks_decide_nothing() -> None:
    recipe = RECIPES[NAME]
    same = recipe.model_copy(update={"name": "other", "data": "elsewhere.csv", "loss": CrossEntropy(block_rows=16)})
    assert deciding(same) == deciding(recipe)
    assert deciding(with_parts(recipe, loss=CrossEntropy(precision="bfloat16"))) != deciding(recipe)
    assert deciding(RECIPES["popularity"]) != deciding(RECIPES["co-occurrence"])


def test_the_fingerprint_of_the_events_is_told() -> None:
    assert metrics(NAME).provenance.events_sha256 == outcome(NAME).prepared.log.sha256()


@pytest.mark.parametrize("name", ["recipe.json", "metrics.json", "ranks.parquet", "history.jsonl"])
def test_what_was_altered_is_refused(name: str, tmp_path: Path) -> None:
    folder = written(tmp_path)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    message = r"was altered: its sha256 is not the one in manifest.json; restore it or train anew"
    with pytest.raises(ArtefactError, match=message):
        read_run(folder).proven(*COMPARED)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"sha256": {}}', b'{"version": 2}'])
def test_a_damaged_run_is_told_of_and_left_out_of_a_search(content: bytes, tmp_path: Path) -> None:
    whole, damaged = written(tmp_path), written(tmp_path, "popularity")
    (damaged / "manifest.json").write_bytes(content)
    said: list[str] = []
    assert [run.folder for run in find_runs([tmp_path, tmp_path / "none"], said.append)] == [whole]
    assert len(said) == 1
    assert str(damaged) in said[0]


@pytest.mark.parametrize("name", ["ranks.parquet", "history.jsonl"])
def test_a_run_without_what_is_compared_is_not_found_again(name: str, tmp_path: Path) -> None:
    (written(tmp_path, "sasrec-ce") / name).unlink()
    told: list[str] = []
    assert find_runs([tmp_path], told.append) == []
    assert "not reused: " in told[0]
    assert name in told[0]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"is not a run: it has no manifest.json; give a folder that"):
        read_run(tmp_path)


def test_a_folder_of_runs_names_them(tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(written(tmp_path / ".made" / name, "popularity"), tmp_path / name)
    (tmp_path / "notes").mkdir()
    with pytest.raises(ArtefactError, match=r"it has no manifest\.json, but 2 runs in it \(one, two\); give a"):
        read_run(tmp_path)


def test_the_seed_is_that_of_the_provenance(run: Run) -> None:
    stored = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    assert run.seed == stored["provenance"]["seed"] == 0

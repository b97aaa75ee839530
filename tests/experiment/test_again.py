"""A stored run is evaluated again on its own data, wherever that is now, and on no other."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.again import evaluate_again
from nextitem.experiment.folder.metrics import metrics_of
from nextitem.experiment.folder.provenance import provenance
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.run import Outcome, run
from nextitem.training.session import Session
from worlds.small_runs import RECIPES, chains, log_of, write_csv

NAME = "sasrec-ce"


@pytest.fixture(scope="module")
def from_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Run]:
    """A model trained on a file, and its stored run."""
    folder = tmp_path_factory.mktemp("data")
    data = write_csv(log_of(chains()), folder / "events.csv")
    recipe = RECIPES[NAME].model_copy(update={"data": str(data)})
    trained = run(recipe, Session(seed=3))
    found = metrics_of(trained, provenance(trained.prepared, Session(seed=3), datetime.now(UTC)))
    return trained, read_run(write_run(Workplace(folder, NAME, 3), recipe, trained, found))


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_stored_run_is_evaluated_again_to_the_same_values(part: str, from_file: tuple[Outcome, Run]) -> None:
    trained, found = from_file
    report, before = evaluate_again(found, part, ["ndcg@10", "hit_rate@10"]), getattr(trained, part)
    assert torch.equal(report.above_C, before.above_C)
    assert report.means == {name: before.means[name] for name in ("ndcg@10", "hit_rate@10")}
    assert report.certificate.split == before.certificate.split


def test_other_items_may_be_left_out_than_in_training(from_file: tuple[Outcome, Run]) -> None:
    _, found = from_file
    hidden, open_ = (evaluate_again(found, "test", ["mrr"], hide=hide) for hide in (None, "nothing"))
    assert (hidden.certificate.hidden, open_.certificate.hidden) == ("history", "nothing")
    assert bool((open_.above_C >= hidden.above_C).all())  # nobody repeats an item, so hiding can only help
    assert hidden.certificate.differences(open_.certificate) == "hidden history and nothing"
    sampled = evaluate_again(found, "test", ["mrr"], candidates="uniform:3", hide="last:1")
    assert (sampled.certificate.hidden, sampled.certificate.ranking) == ("last:1", "uniform:3, seed 0")
    with pytest.raises(ConfigurationError, match="hide='all' should be history, nothing, or last:n"):
        evaluate_again(found, "test", ["mrr"], hide="all")


def test_a_report_made_anew_has_the_certificate_of_the_run_wherever_the_data_is(
    from_file: tuple[Outcome, Run], tmp_path: Path
) -> None:
    trained, found = from_file
    moved = tmp_path / "moved.csv"
    moved.write_bytes(Path(found.recipe.data).read_bytes())
    report = evaluate_again(found, "test", trained.test.certificate.metrics, str(moved))
    assert report.certificate == trained.test.certificate
    assert found.metrics.provenance.data == found.recipe.data


def test_data_that_is_not_where_it_was_is_missed_with_the_remedy(from_file: tuple[Outcome, Run]) -> None:
    _, found = from_file
    elsewhere = replace(found, recipe=found.recipe.model_copy(update={"data": "logs/events.csv"}))
    remedy = rf"there is no file logs/events\.csv; .*: `nextitem evaluate {found.folder} --data PATH`$"
    with pytest.raises(DataError, match=remedy):
        evaluate_again(elsewhere, "test", ["ndcg@10"])
    with pytest.raises(DataError, match=r"there is no file other\.csv") as caught:
        evaluate_again(elsewhere, "test", ["ndcg@10"], "other.csv")
    assert "--data PATH" not in str(caught.value)


def test_other_data_than_was_trained_on_is_refused(from_file: tuple[Outcome, Run]) -> None:
    _, found = from_file
    file = Path(found.recipe.data)
    before = file.read_text()
    try:
        file.write_text(before.replace("u00,i", "u00,j", 1))
        with pytest.raises(DataError, match=r"is not the data that .* was trained on: its test cases have sha256"):
            evaluate_again(found, "test", ["ndcg@10"])
    finally:
        file.write_text(before)

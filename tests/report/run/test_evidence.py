"""What is read from a run's folder, and which runs may stand on one page."""

import json
from pathlib import Path

import pytest

from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.reading import RUN
from nextitem.report.run.evidence import comparable
from worlds.small_runs import chains, outcome
from worlds.stored_runs import evidence, written


def test_cases_have_rank_length_and_popularity(tmp_path: Path) -> None:
    found = evidence(written(tmp_path))
    trained = [item for history in chains() for item in history[:-2]]
    assert found.cases["user"].to_list() == [f"u{user:02}" for user in range(len(chains()))]
    assert found.cases["length"].to_list() == [len(history) - 1 for history in chains()]
    assert found.cases["trained"].to_list() == [trained.count(history[-1]) for history in chains()]
    assert found.ranks.above_C.tolist() == outcome("sasrec-ce").test.above_C.tolist()
    assert found.titles == {"i00": "The First"}
    assert [line.epoch for line in found.epochs] == [1, 2]


def test_without_users_there_are_no_lengths(tmp_path: Path) -> None:
    found = evidence(written(tmp_path, with_users=False))
    assert not found.has_histories
    assert "trained" in found.cases.columns


def test_runs_of_one_recipe_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    """All are called `unnamed`, so settings tell them apart; equal ones would be told apart by their folders."""
    runs = [evidence(written(tmp_path / name, name)) for name in ("sasrec-ce", "sasrec-bce", "sasrec-ce")[:2]]
    labels = [run.label for run in comparable(runs)]
    assert len(set(labels)) == 2
    assert "loss=binary_cross_entropy" in labels[1]
    twins = [evidence(written(tmp_path / name)) for name in ("a", "b")]
    renamed = twins[1].folder.rename(twins[1].folder.with_name("another"))
    labels = [run.label for run in comparable([twins[0], evidence(renamed)])]
    assert labels == [f"unnamed, {twins[0].folder.name}", "unnamed, another"]


def test_a_run_is_named_once(tmp_path: Path) -> None:
    run = evidence(written(tmp_path))
    with pytest.raises(ConfigurationError, match="given twice"):
        comparable([run, run])


def test_unequal_certificates_are_refused_by_what_differs(tmp_path: Path) -> None:
    first, other = (written(tmp_path / name) for name in ("a", "b"))
    metrics = json.loads((other / "metrics.json").read_text())
    metrics["certificate"]["hidden"] = "nothing"
    (other / "metrics.json").write_text(json.dumps(metrics))
    RUN.seal(other)
    with pytest.raises(
        ConfigurationError, match=r"do not belong in one table \(hidden history and nothing\)"
    ) as caught:
        comparable([evidence(first), evidence(other)])
    assert caught.value.exit_code == 2

"""`nextitem evaluate --candidates`: sampled metrics as a user asks for them."""

import json
from pathlib import Path

import pytest

from worlds.command_line import typed
from worlds.small_runs import chains, log_of, write_csv


@pytest.fixture(scope="module")
def popular(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of popularity."""
    folder = tmp_path_factory.mktemp("shop")
    data = write_csv(log_of(chains()), folder / "events.csv")
    with pytest.MonkeyPatch.context() as patch:
        assert typed(patch, "train", "popularity", f"data={data}", "--out", str(folder / "runs")) == 0
    return next(entry for entry in (folder / "runs").iterdir() if entry.name != ".partial")


def test_sampled_metrics_are_a_block_of_their_own(
    popular: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    words = ("evaluate", str(popular), "--candidates", "popularity:2", "--seed", "5", "--part", "validation", "--json")
    assert typed(monkeypatch, *words) == 0
    found = json.loads(capfd.readouterr().out)
    assert found.keys() == {"sampled", "run", "recipe"}
    block = found["sampled"]["validation"]
    assert {"hit_rate@1[pop2]", "ndcg@10[pop2]", "mrr[pop2]"} < block.keys()
    assert (block["certificate"]["ranking"], block["certificate"]["candidates"]) == ("popularity:2, seed 5", 3)


def test_the_table_says_what_was_ranked(
    popular: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    words = ("evaluate", str(popular), "--candidates", "uniform:2", "--metrics", "ndcg@1")
    assert typed(monkeypatch, *words) == 0
    shown = " ".join(capfd.readouterr().out.split())
    assert "ndcg@1[uniform2]" in shown
    assert "among 2 drawn items only" in shown


def test_a_training_can_store_the_block(
    popular: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    data = f"data={popular.parent.parent / 'events.csv'}"
    words = ("train", "popularity", data, "--out", str(popular.parent.parent / "more"), "--candidates", "uniform:2")
    assert typed(monkeypatch, *words) == 0
    folder = next(entry for entry in (popular.parent.parent / "more").iterdir() if entry.name != ".partial")
    stored = json.loads((folder / "metrics.json").read_text())["sampled"]
    capfd.readouterr()
    assert typed(monkeypatch, "evaluate", str(folder), "--candidates", "uniform:2", "--json") == 0
    assert json.loads(capfd.readouterr().out)["sampled"] == stored
    assert typed(monkeypatch, *words[:-1], "uniform:100") == 2
    assert "uniform:100 cannot be drawn" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ("most-popular", "candidates 'most-popular' are of no known kind; write popularity:K or uniform:K"),
        ("popularity:100", "candidates popularity:100 cannot be drawn"),
    ],
)
def test_candidates_that_cannot_be_had_are_an_error(
    popular: Path, candidates: str, message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "evaluate", str(popular), "--candidates", candidates) == 2
    assert message in capfd.readouterr().err


def test_a_misspelt_kind_of_candidates_is_refused_before_the_data_are_read(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "train", "popularity", "data=nowhere.csv", "--candidates", "pop:100") == 2
    assert "candidates 'pop:100' are of no known kind; write popularity:K" in capfd.readouterr().err


def test_a_metric_of_lists_is_measured_of_a_stored_run_and_refused_where_ranks_are_all_there_is(
    popular: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert typed(monkeypatch, "evaluate", str(popular), "--metrics", "novelty@3", "--json") == 0
    found = json.loads(capfd.readouterr().out)["test"]
    low, high = found["intervals"]["novelty@3"]
    assert 0 < low <= found["novelty@3"] <= high
    assert typed(monkeypatch, "evaluate", str(popular), "--metrics", "intra_list_diversity@3") == 0
    assert "Items of a list are told apart by co-occurrence" in " ".join(capfd.readouterr().out.split())
    assert typed(monkeypatch, "compare", str(popular), "--metrics", "novelty@3") == 2
    assert "novelty@3 is a metric of lists, and ranks do not tell what was listed" in capfd.readouterr().err

"""The paper's table: published values, verdicts, what is trained, and the folder that is left."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nextitem.data.datasets import DATASETS
from nextitem.data.stand_in import stand_in
from nextitem.engine.entries import Contestant, Entry
from nextitem.errors import ConfigurationError, StorageError
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.plan.flops import flops_per_epoch
from nextitem.experiment.plan.memory import Work
from nextitem.experiment.presets import preset_names
from nextitem.experiment.recipe import Recipe
from nextitem.report.studies.reproduction import Reproduction, figures, write
from nextitem.studies.comparison import compare
from nextitem.studies.forecast import Line, ReproductionPlan
from nextitem.studies.reproduction import (  # fmt: skip
    PUBLISHED_VALUES,
    ROWS,
    PublishedValues,
    ReproductionRequest,
    _timed,
    agreement,
    deviations,
    sweep_entries,
    table_entries,
    verdicts,
)
from nextitem.training.history import Epoch
from worlds.command_line import typed
from worlds.parts import with_parts
from worlds.small_runs import RECIPES, outcome
from worlds.stored_runs import remade, written

# Our names of the paper's rows, and of the small runs that stand for them.
SMALL = {"sasrec-bce": "popularity", "sasrec-ce": "sasrec-ce", "sasrec-3000": "sasrec-sampled", "bert4rec": "bert4rec"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Contestant]:
    folder = tmp_path_factory.mktemp("runs")
    return [Contestant(name, (read_run(written(folder, run)),)) for name, run in SMALL.items()]


def test_the_paper_has_its_own_order_on_every_dataset_but_steam() -> None:
    for data, published in PUBLISHED_VALUES.items():
        plus, bert, plain = (published[name].ndcg for name in ("sasrec-ce", "bert4rec", "sasrec-bce"))
        assert (plus > bert) == (data != "steam")
        assert bert > plain


def test_the_sweep_has_the_numbers_of_the_figure_and_shares_the_tables_row() -> None:
    entries = sweep_entries(ReproductionRequest("ml-1m"))
    assert list(entries) == [1, 10, 100, 300, 1000, 3000]
    assert entries[3000].label == "sasrec-3000"
    assert [
        entry.recipe.sequence.negatives.count for entry in entries.values() if entry.recipe.sequence.negatives
    ] == list(entries)
    assert list(sweep_entries(ReproductionRequest("synthetic", fast=True))) == [10, 100, 500]
    assert sweep_entries(ReproductionRequest("ml-1m", sweep=False)) == {}


def test_every_row_that_has_a_recipe_is_trained_on_the_dataset_with_its_settings() -> None:
    entries = {
        entry.label: entry.recipe
        for entry in table_entries(ReproductionRequest("ml-20m", overrides=("training.epochs=2",)))
    }
    assert set(entries) == set(ROWS) & set(preset_names())
    assert all(recipe.data == "ml-20m" for recipe in entries.values())
    assert (entries["bert4rec"].sequence.encoder.dim, entries["bert4rec"].sequence.objective.maximum_length) == (
        256,
        200,
    )
    assert entries["sasrec-ce"].sequence.training.epochs == 2


@pytest.mark.parametrize(
    ("request_of", "message"),
    [
        (lambda: ReproductionRequest("ml1m"), "there is nothing to reproduce on 'ml1m'; did you mean 'ml-1m'"),
        (lambda: ReproductionRequest("ml-1m", fast=True), "--fast is a first look at synthetic data, not at ml-1m"),
    ],
)
def test_what_cannot_be_reproduced_is_refused(request_of: Callable[[], ReproductionRequest], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        request_of()


def shifted(run: Run, above: float) -> Run:
    """The run as if every target ranked `above` places lower."""
    return remade(run, ranks=run.ranks.with_columns(above=run.ranks["above"] + above))


def test_a_claim_holds_does_not_hold_or_stays_undecided(rows: list[Contestant]) -> None:
    best = next(row.runs[0] for row in rows if row.label == "sasrec-ce")
    worse = shifted(best, 30.0)
    found = verdicts([Contestant("sasrec-ce", (best,)), Contestant("bert4rec", (worse,))], "ml-1m")
    assert [(v.claim, v.finding) for v in found[:3]] == [
        ("SASRec+ beats BERT4Rec in NDCG@10", "holds"),
        ("SASRec+ 3000 beats BERT4Rec in NDCG@10", "not measured"),
        ("BERT4Rec beats SASRec in NDCG@10", "not measured"),
    ]
    assert found[0].published == "+0.0284"  # 0.1821 - 0.1537
    assert "95 % interval" in found[0].facts
    against = verdicts([Contestant("sasrec-ce", (worse,)), Contestant("bert4rec", (best,))], "steam")
    assert against[0].finding == "does not hold"
    same = verdicts([Contestant("sasrec-ce", (best,)), Contestant("bert4rec", (best,))], "synthetic")
    assert (same[0].finding, same[0].published) == ("undecided", "")


def test_speed_is_judged_by_the_seconds_to_the_best_epoch(rows: list[Contestant]) -> None:
    """Three epochs of which the second is the best, each of them in `seconds`."""

    def taking(name: str, seconds: float) -> Contestant:
        trained = rows[1].runs[0]
        run = replace(trained, metrics=trained.metrics.model_copy(update={"best_epoch": 2}))
        return Contestant(name, (remade(run, history=[Epoch(1, 0.0, None, {}, seconds, 1.0)] * 3),))

    for plus, bert, finding in ((10.0, 11.0, "holds"), (11.0, 10.0, "does not hold")):
        told = _timed("a claim", taking("sasrec-ce", plus), taking("bert4rec", bert), "540 s against 1,409 s")
        assert told.finding == finding
        assert told.facts == f"{2 * plus:.0f} s against {2 * bert:.0f} s of training to the best epoch"
    (of_paper,) = [one for one in verdicts(rows, "ml-1m") if one.claim == "SASRec+ trains faster than BERT4Rec"]
    assert of_paper.published == "540 s against 1,409 s"


def test_a_row_agrees_within_five_per_cent_or_twice_its_seeds_spread(
    rows: list[Contestant], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = rows[1]
    value = outcome("sasrec-ce").test.means["ndcg@10"]
    for factor, word in ((1.04, "agrees"), (0.94, "better"), (1.06, "worse")):
        monkeypatch.setattr(
            "nextitem.studies.reproduction.PUBLISHED_VALUES",
            {"data": {"sasrec-ce": PublishedValues(0.1, value * factor)}},
        )
        assert agreement(row, "data") == word
        said = deviations([row], "data")
        assert len(said) == (word != "agrees")
        for sentence in said:  # 1 / 0.94 and 1 / 1.06
            assert (
                f"is {word} than published, by {'6.4%' if word == 'better' else '5.7%'} of NDCG@10 (one seed"
                in sentence
            )
            assert "docs/reference.md, *Differences from the reference implementation*" in sentence
            assert ("*Columns*" in sentence) == (word == "better")
    assert agreement(row, "synthetic") == ""


def test_the_folder_is_whole_and_takes_the_place_of_an_earlier_one(rows: list[Contestant], tmp_path: Path) -> None:
    swept = {1: rows[1], 10: rows[3], 500: Contestant("500 negatives")}
    found = Reproduction("ml-1m", "nextitem reproduce ml-1m", compare(rows, "bert4rec"), swept, verdicts(rows, "ml-1m"))
    folder = tmp_path / "runs" / "reproduce-ml-1m"
    write(folder, found)
    (folder / "left.txt").write_text("by an earlier version")
    write(folder, found)
    assert sorted(file.name for file in folder.iterdir()) == [
        "convergence.svg", "losses.svg", "negatives.svg", "results.md", "table.csv", "table.json",
    ]  # fmt: skip
    assert [entry.name for entry in folder.parent.iterdir()] == ["reproduce-ml-1m"]
    page = (folder / "results.md").read_text(encoding="utf-8")
    assert "| SASRec+ beats BERT4Rec in NDCG@10 | **" in page
    assert f"{outcome('sasrec-ce').test.means['ndcg@10']:.4f}" in page
    assert "0.1821 (" in page
    assert "corrected by Holm for the 3 claims that were tested" in page
    assert "p are over users only (one seed tells nothing about seeds)" in page
    assert "- Runs of 2026-01-02: " in page
    assert " 1 threads" not in page
    assert "first seed" in page
    told = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    assert told["rows"][1]["published"] == {
        "ndcg@10": 0.1821, "hit_rate@10": 0.3152, "train_seconds": 540, "best_epoch": 63,
    }  # fmt: skip
    assert set(told["negatives"]) == {"1", "10"}
    lines = list(csv.DictReader((folder / "table.csv").read_text(encoding="utf-8").splitlines()))
    assert (lines[2]["recipe"], lines[2]["metric"], lines[2]["published"]) == ("sasrec-ce", "ndcg@10", "0.1821")


def test_settings_that_are_not_the_papers_are_not_judged_by_it(rows: list[Contestant]) -> None:
    comparison = compare(rows, "bert4rec")
    paper, changed = (Reproduction("ml-1m", "", comparison, {}, [], is_papers=known) for known in (True, False))
    assert len(paper.deviations) == 4  # small models on a small log are far from it
    assert {paper.agrees(row) for row in rows} <= {"better", "worse"}
    assert (changed.deviations, {changed.agrees(row) for row in rows}) == ([], {""})


def test_the_figures_are_called_by_what_was_monitored(rows: list[Contestant]) -> None:
    (run,) = rows[1].runs
    training = run.recipe.sequence.training.model_copy(update={"monitor": "mrr@10"})
    other = replace(run, recipe=with_parts(run.recipe, training=training))
    comparison = compare([Contestant("sasrec-ce", (other,))], "sasrec-ce")
    made = figures(Reproduction("ml-1m", "", comparison, {}, []))
    assert made["convergence"].axes[0].get_title(loc="left") == "MovieLens-1M: validation MRR@10"
    assert "epoch of the best MRR@10" in made["losses"].get_supxlabel()


def test_a_refused_setting_names_the_recipe() -> None:
    with pytest.raises(ConfigurationError, match=r"^recipe sasrec-bce: encoder\.layers .*: no such key"):
        table_entries(ReproductionRequest("beauty", overrides=("encoder.layers=3",)))


def test_a_place_that_cannot_be_written_is_a_storage_error(rows: list[Contestant], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = Reproduction("ml-1m", "", compare(rows, "bert4rec"), {}, [])
    with pytest.raises(StorageError, match=r"cannot write .*; free space or choose another --out"):
        write(tmp_path / "file" / "reproduce-ml-1m", found)


@pytest.mark.parametrize("name", ["steam", "yelp"])
def test_a_stand_in_has_the_counts_of_the_dataset(name: str) -> None:
    prepared = stand_in(DATASETS[name], Recipe(data=name))
    events = prepared.log.sequences
    assert (len(events), len(prepared.log.items), len(events.events)) == (
        DATASETS[name].users, DATASETS[name].items, DATASETS[name].events,
    )  # fmt: skip
    assert int(events.lengths_U.min()) >= 5
    assert 0 <= int(events.events.items.min()) <= int(events.events.items.max()) < DATASETS[name].items
    counts = events.counts()
    assert int(counts[0]) > 20 * int(counts[-1])  # popularity is uneven


def test_operations_are_counted_from_shapes() -> None:
    work = Work(1, 10, 10, 12, (), 1.0)
    full, sampled = (flops_per_epoch(RECIPES[name].sequence, work, 12, 0) for name in ("sasrec-ce", "sasrec-sampled"))
    assert full == 6 * 10 * 12 * 8  # T, N, d
    assert sampled == 6 * 10 * (1 + 3) * 8  # the target and three negatives
    weights = sum(weight.numel() for weight in RECIPES["sasrec-ce"].sequence.encoder.build().parameters())
    encoded = flops_per_epoch(RECIPES["sasrec-ce"].sequence, work, 12, 100) - full
    assert encoded == 100 * (6 * weights + 12 * 2 * 8 * 8)  # two blocks of attention over 8 places


def test_a_gpu_takes_what_is_published_or_the_operations_at_the_published_rate() -> None:
    lines = (Line("a", None, flops=100.0, published_seconds=10), Line("b", None, flops=30.0), Line("c", None))
    found = ReproductionPlan("ml-1m", lines, is_stand_in=False)
    assert [found.gpu_seconds(line) for line in lines] == [10.0, 3.0, None]


def test_without_a_finished_run_and_without_training_there_is_nothing_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "reproduce", "synthetic", "--no-train", "--out", str(tmp_path)) == 2
    assert "there is no finished run of synthetic" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


def test_where_every_training_failed_it_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def failed(entries: list[Entry], *_: object) -> list[Contestant]:
        return [Contestant(entry.label, failures=("seed 0 failed: it diverged",)) for entry in entries]

    monkeypatch.setattr("nextitem.cli.reproduce.train_each", failed)
    assert typed(monkeypatch, "reproduce", "synthetic", "--out", str(tmp_path)) == 1
    assert (
        "no training of synthetic came to its end, so there is no table: sasrec-bce: seed 0" in capfd.readouterr().err
    )
    assert not list(tmp_path.iterdir())


def test_a_plan_without_the_file_says_that_random_events_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NEXTITEM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    small = replace(DATASETS["steam"], users=300, items=80, events=4000, events_rounded_to=1)
    monkeypatch.setitem(DATASETS, "steam", small)
    assert typed(monkeypatch, "reproduce", "steam", "--plan", "--no-sweep", "--json", "--threads", "1") == 0
    told = json.loads(capfd.readouterr().out)
    assert told["is_stand_in"]
    lines = {line["recipe"]: line for line in told["lines"]}
    assert lines["sasrec-ce"]["epochs"] == 16 + 10  # the published best epoch and the patience
    assert lines["sasrec-ce"]["gpu_seconds_estimated"] == 1262
    assert lines["sasrec-ce"]["seconds"] > 0
    assert lines["popularity"]["plan"] is None
    # Weights, two moments, the best weights and two gradients of a table of 80 items of 64 numbers, and more.
    assert lines["sasrec-ce"]["gpu_bytes_estimated"] > 6 * 80 * 64 * 4
    assert lines["popularity"]["gpu_bytes_estimated"] is None
    assert typed(monkeypatch, "reproduce", "steam", "--plan", "--no-sweep", "--threads", "1") == 0
    out = capfd.readouterr().out
    assert "with 1 thread," in out
    assert "GPU memory" in out
    assert "all of these" in out
    assert "an estimate and no measurement" in told["explained"]
    assert torch.tensor(lines["bert4rec"]["flops"]).isfinite()

"""One table of many runs: its means, paired differences and refusals, from runs written here."""

import pytest
import torch

from nextitem.cli.compare import stored_rows
from nextitem.cli.tables import comparison_cells, show_comparison
from nextitem.engine.entries import Contestant
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.studies.comparison import Comparison, as_dict, compare, same_certificate, values_of
from worlds.small_runs import outcome
from worlds.stored_runs import remeasured, written


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: read_run(written(folder, name)) for name in ("sasrec-ce", "bert4rec", "popularity")}


@pytest.fixture(scope="module")
def found(runs: dict[str, Run]) -> Comparison:
    rows = [Contestant(name, (run,)) for name, run in runs.items()]
    return compare([*rows, Contestant("broken", failures=("seed 0 failed: it diverged",))], "popularity")


def test_means_and_differences_are_those_of_the_reports(found: Comparison) -> None:
    for name in ("sasrec-ce", "bert4rec"):
        cell = found.cells[name]["ndcg@10"]
        mean, base = (outcome(one).test.means["ndcg@10"] for one in (name, "popularity"))
        assert cell.mean == pytest.approx(mean)
        assert cell.difference is not None
        assert cell.difference.value == pytest.approx(mean - base)
        assert cell.interval[0] <= mean <= cell.interval[1]
        assert cell.difference.interval[0] <= mean - base <= cell.difference.interval[1]
        assert cell.difference.p <= cell.difference.corrected_p


def test_the_row_compared_against_has_no_difference_and_a_failed_one_no_cells(found: Comparison) -> None:
    assert found.cells["popularity"]["ndcg@10"].difference is None
    assert "broken" not in found.cells
    assert found.failures == ["broken: seed 0 failed: it diverged"]
    assert found.number_of_tests == 4


def test_the_same_runs_give_the_same_table(found: Comparison) -> None:
    assert compare(found.rows, "popularity").cells == found.cells


def test_a_row_beside_itself_under_another_name_does_not_differ(runs: dict[str, Run]) -> None:
    rows = [Contestant("first", (runs["bert4rec"],)), Contestant("second", (runs["bert4rec"],))]
    difference = compare(rows).cells["second"]["ndcg@10"].difference
    assert difference is not None
    assert (difference.value, difference.interval, difference.corrected_p) == (0.0, (0.0, 0.0), 1.0)


def test_several_seeds_are_one_row_and_their_mean(runs: dict[str, Run]) -> None:
    other = remeasured(runs["sasrec-ce"], "provenance", seed=1)
    row = Contestant("both", (runs["sasrec-ce"], other))
    table = compare([row, Contestant("popularity", (runs["popularity"],))])
    assert values_of(row, "ndcg@10").shape[0] == 2
    assert table.cells["both"]["ndcg@10"].mean == pytest.approx(outcome("sasrec-ce").test.means["ndcg@10"])
    assert "resamples of users and seeds;" in table.resampled  # of popularity one seed says all
    assert "resamples of users and seeds" in compare([row]).resampled
    assert covered(table) == {"popularity": "users and seeds"}


def covered(table: Comparison) -> dict[str, str]:
    """What the differences of each row speak for."""
    return {
        label: cells["ndcg@10"].difference.covers
        for label, cells in table.cells.items()
        if cells["ndcg@10"].difference is not None
    }


def test_a_row_of_one_seed_borrows_the_others_spread_or_is_said_to_speak_of_users_alone(runs: dict[str, Run]) -> None:
    both = Contestant("both", (runs["sasrec-ce"], remeasured(runs["sasrec-ce"], "provenance", seed=1)))
    lone, counts = Contestant("bert4rec", (runs["bert4rec"],)), Contestant("popularity", (runs["popularity"],))
    borrowing = compare([both, lone, counts], "both")
    assert covered(borrowing) == {"bert4rec": "users and seeds", "popularity": "users and seeds"}
    assert "(a row with one seed: of users only, and in a difference with the other row's spread" in borrowing.resampled
    mixed = compare([counts, both, lone])
    assert covered(mixed) == {"both": "users and seeds", "bert4rec": "users"}
    assert "; of bert4rec differences are over users only, since no seed's luck is known there" in mixed.resampled
    assert "of users only (what only counts has no luck)" in compare([counts]).resampled


def test_intervals_are_within_what_a_metric_can_be_however_far_seeds_are_apart(runs: dict[str, Run]) -> None:
    """Two seeds of one row that are as unlike as two models."""
    row = Contestant("both", (runs["sasrec-ce"], runs["popularity"]))
    table = compare([row, Contestant("bert4rec", (runs["bert4rec"],))], metrics=("ndcg@1", "hit_rate@10", "mrr"))
    for cells in table.cells.values():
        for cell in cells.values():
            assert 0 <= cell.interval[0] <= cell.mean <= cell.interval[1] <= 1
            if cell.difference is not None:
                assert -1 <= cell.difference.interval[0] <= cell.difference.interval[1] <= 1


def test_with_one_seed_the_table_says_that_seeds_are_not_in_the_interval(found: Comparison) -> None:
    assert "of users only (one seed tells nothing about seeds)" in found.resampled
    assert "p by Holm over the 4 differences" in found.resampled


@pytest.mark.parametrize(
    ("setting", "value"), [("split", "0" * 64), ("ranking", "100 by popularity"), ("candidates", 7), ("dataset", "b")]
)
def test_unequal_certificates_are_refused_with_what_differs(setting: str, value: object, runs: dict[str, Run]) -> None:
    other = remeasured(runs["bert4rec"], "certificate", **{setting: value})
    with pytest.raises(ConfigurationError, match=f"cannot be compared, their certificates differ: {setting} "):
        compare([Contestant("a", (runs["sasrec-ce"],)), Contestant("b", (other,))])


def test_certificates_may_list_other_metrics(runs: dict[str, Run]) -> None:
    other = remeasured(runs["bert4rec"], "certificate", metrics=("mrr@3",))
    assert other.metrics.certificate != runs["sasrec-ce"].metrics.certificate
    same_certificate([runs["sasrec-ce"], other])  # raises nothing


def test_an_unknown_row_to_compare_against_is_refused_with_the_nearest(runs: dict[str, Run]) -> None:
    with pytest.raises(ConfigurationError, match=r"--against bert4rek: there is no such row; did you mean 'bert4rec'"):
        compare([Contestant("bert4rec", (runs["bert4rec"],))], "bert4rek")


def test_given_runs_that_differ_in_their_seed_share_a_row(runs: dict[str, Run]) -> None:
    one, two = runs["sasrec-ce"], remeasured(runs["sasrec-ce"], "provenance", seed=1)
    rows = stored_rows([one, runs["popularity"], two])
    assert [len(row.runs) for row in rows] == [2, 1]
    with pytest.raises(ConfigurationError, match="has the settings and the seed of another run"):
        stored_rows([one, one])


def test_the_memory_of_a_row_is_that_of_its_largest_seed(runs: dict[str, Run]) -> None:
    assert Contestant("bert4rec").peak_memory_mb is None
    assert (Contestant("bert4rec", (runs["bert4rec"],)).peak_memory_mb or 0) > 10


def test_the_table_is_plain_lines_where_there_is_no_terminal(
    found: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    show_comparison(found, as_json=False)
    title, header, *lines, resampled = capsys.readouterr().out.splitlines()
    assert "differences to popularity" in title
    assert header.split()[:3] == ["recipe", "seeds", "ndcg@10"]
    assert [line.split()[0] for line in lines] == ["sasrec-ce", "bert4rec", "popularity", "broken"]
    assert f"{outcome('bert4rec').test.means['ndcg@10']:.4f}" in lines[1]
    assert "0 of 1, failed" in lines[3]
    assert resampled == found.resampled


def test_every_row_has_a_cell_for_every_column(found: Comparison) -> None:
    header, rows = comparison_cells(found)
    assert {len(row) for row in rows} == {len(header)}


def test_the_object_holds_what_the_table_shows(found: Comparison) -> None:
    told = as_dict(found)
    first = told["rows"][0]
    assert first["parameters"] == outcome("sasrec-ce").parameters
    assert first["best_epochs"] == [outcome("sasrec-ce").history.best_epoch]
    assert first["train_seconds"] == pytest.approx(outcome("sasrec-ce").history.train_seconds, abs=0.01)
    assert told["rows"][3]["failures"] == ["seed 0 failed: it diverged"]
    assert set(first["metrics"]["ndcg@10"]["difference"]) == {"value", "interval", "p", "corrected_p", "covers"}
    assert torch.tensor(first["metrics"]["ndcg@10"]["interval"]).isfinite().all()
    assert told["certificate"]["cases"] == len(outcome("sasrec-ce").prepared.split.test)


def test_a_run_that_was_told_when_its_targets_happened_is_refused_unless_asked_for(runs: dict[str, Run]) -> None:
    honest = runs["sasrec-ce"]
    told = remeasured(honest, "certificate", told="the time of the target")
    rows = [Contestant("honest", (honest,)), Contestant("told", (told,))]
    with pytest.raises(ConfigurationError, match=r"told when each target happened .* encoder\.times=past, or ask for"):
        compare(rows)
    with pytest.raises(ConfigurationError, match="told when each target happened"):
        compare(rows[1:])
    table = as_dict(compare(rows, target_times=True))
    assert [row.get("told") for row in table["rows"]] == [None, "the time of the target"]
    assert "told" not in table["certificate"]

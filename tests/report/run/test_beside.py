"""What counting alone reaches, on the page and on the card of a run."""

from pathlib import Path

from nextitem.experiment.folder.metrics import metrics_of
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.yardsticks import RULE, beside
from nextitem.report.run.beside import counted
from nextitem.report.run.page import report_page
from nextitem.words import interval
from worlds.small_runs import RECIPES, metrics, outcome
from worlds.stored_runs import NAME, evidence, written


def test_page_and_card_show_each_baseline_with_its_difference_and_the_verdict(tmp_path: Path) -> None:
    found = beside(RECIPES[NAME], outcome(NAME))
    measured = metrics_of(outcome(NAME), metrics(NAME).provenance, beside=found)
    folder = write_run(Workplace(tmp_path, NAME, 0), RECIPES[NAME], outcome(NAME), measured)
    page, card = report_page([evidence(folder)], [outcome(NAME).model]), (folder / "README.md").read_text("utf-8")
    assert found.verdict is not None
    difference = found.yardsticks[2].differences["ndcg@10"]
    for said in ("recent-popularity", f"{difference.value:+.4f}", interval(difference.interval, "+.4f"), RULE):
        assert said in page
        assert said in card
    assert f"<strong>{found.verdict}</strong>".replace("'", "&#39;") in page
    assert f"**{found.verdict}** {RULE}" in card
    assert "| co-occurrence | 0." in card


def test_a_run_beside_which_nothing_was_measured_shows_nothing_of_it(tmp_path: Path) -> None:
    folder = written(tmp_path)
    assert counted(evidence(folder)) is None
    assert "ounting alone" not in report_page([evidence(folder)], [outcome(NAME).model])
    assert "ounting alone" not in (folder / "README.md").read_text("utf-8")

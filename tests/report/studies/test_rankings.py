"""The page about two kinds of ranking."""

from pathlib import Path

from nextitem.report.studies.rankings import orders_page, write
from nextitem.studies.rankings import Disagreement, Pair

FLIPPED = Pair("a", "b", 0.25, (0.125, 0.375), -0.5, (-0.75, -0.25))
FOUND = {"popularity:100": Disagreement({"a": 0.5, "b": 0.25}, {"a": 0.25, "b": 0.75}, -1, (-1, -1), (FLIPPED,))}


def test_a_flipped_pair_is_told_with_the_sampled_winner_first() -> None:
    lines = orders_page(FOUND, "ndcg@10").splitlines()
    assert (
        "| popularity:100 | -1.00 (-1.00 – -1.00) | 1 of 1 | 1 | `b` over `a`: +0.5000 (+0.2500 – +0.7500), "
        "full -0.2500 (-0.3750 – -0.1250) |" in lines
    )


def test_places_come_before_values_and_each_ranking_has_a_table_of_its_own() -> None:
    lines = orders_page(FOUND, "ndcg@10").splitlines()
    assert lines[:6] == [
        "Places, best by full ranking first:", "",
        "| model | ndcg@10 | ndcg@10[pop100] |", "|---|---:|---:|", "| `a` | 1 | 2 |", "| `b` | 2 | 1 |",
    ]  # fmt: skip
    assert lines[9:13] == ["| model | ndcg@10 |", "|---|---:|", "| `a` | 0.5000 |", "| `b` | 0.2500 |"]


def test_the_page_in_the_folder_has_the_command_and_the_figure(tmp_path: Path) -> None:
    write(tmp_path / "page", FOUND, "ndcg@10", "nextitem study sampled-metrics a b")
    text = (tmp_path / "page" / "results.md").read_text(encoding="utf-8")
    assert text.startswith("# Sampled and full ranking\n\n```bash\nnextitem study sampled-metrics a b\n```\n\nPlaces")
    assert text.endswith("other training seeds.\n\n![orders](orders.svg)\n")

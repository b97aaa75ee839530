"""What stands below a figure is what can be seen in it."""

from nextitem.report.run.bands import Band, Quality
from nextitem.report.run.captions import FEWEST, of_quality


def quality(first: int, cases: int, ndcg: float) -> Quality:
    return Quality(Band(first, first), cases, ndcg, ndcg, 0.01)


def test_a_sentence_on_large_bands_says_so() -> None:
    large = [quality(1, FEWEST, 0.2), quality(2, FEWEST, 0.4)]
    assert "by length. From 0.200 at 1 (50 users) to 0.400 at 2" in of_quality([("one", None, large)], "length")
    best = quality(3, FEWEST - 1, 0.9)
    told = of_quality([("one", None, [*large, best])], "length")
    assert "Of bands with at least 50 users, from 0.200 at 1 (50 users) to 0.400 at 2 (50 users)." in told
    assert "From 0.900 at 3 (49 users)" in of_quality([("one", None, [best])], "length")

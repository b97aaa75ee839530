"""The shelf of metrics: one file each, and one line in a table of contents, of ranks or of lists.

A metric of ranks is known wherever ranks are, also of stored runs. One of lists needs the k best items of every case,
which `evaluate` makes only where such a metric is asked for; none is in a default list.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nextitem.errors import ConfigurationError
from nextitem.evaluation.metrics.hit_rate import hit_rate
from nextitem.evaluation.metrics.metric import ListMetric, RankMetric
from nextitem.evaluation.metrics.mrr import mrr
from nextitem.evaluation.metrics.ndcg import ndcg
from nextitem.evaluation.metrics.novelty import novelty

RANK_METRICS: dict[str, RankMetric] = {"hit_rate": hit_rate, "ndcg": ndcg, "mrr": mrr}
LIST_METRICS: dict[str, ListMetric] = {"novelty": novelty}

DEFAULT_METRICS = ("hit_rate@10", "ndcg@10", "mrr@10", "hit_rate@100", "ndcg@100", "mrr@100")
"""What is reported of a full ranking where nothing else is asked for."""
SAMPLED_METRICS = ("hit_rate@1", "hit_rate@5", "hit_rate@10", "ndcg@5", "ndcg@10", "mrr")
"""What papers report that rank a target among few items (Sun et al., 2019)."""


@dataclass(frozen=True)
class Asked:
    """Metrics by name, such as `ndcg@10`, each with its k."""

    of_ranks: Mapping[str, tuple[RankMetric, int]]
    of_lists: Mapping[str, tuple[ListMetric, int]]


def parse_metrics(names: Sequence[str]) -> Asked:
    """What is meant by names such as `ndcg@10`. Raises ConfigurationError for an unknown one, and where there is none.

    `mrr` alone is not cut: its k is larger than any catalogue.
    """
    if not names:
        raise ConfigurationError("no metric to report; name at least one, such as 'ndcg@10'")
    parsed = {name: _parsed(name) for name in names}
    return Asked(
        {name: (RANK_METRICS[word], k) for name, (word, k) in parsed.items() if word in RANK_METRICS},
        {name: (LIST_METRICS[word], k) for name, (word, k) in parsed.items() if word in LIST_METRICS},
    )


def rank_metrics(names: Sequence[str]) -> Mapping[str, tuple[RankMetric, int]]:
    """As `parse_metrics`, where ranks are all that is known: also raises ConfigurationError for a metric of lists."""
    asked = parse_metrics(names)
    for name in asked.of_lists:
        raise ConfigurationError(
            f"{name} is a metric of lists, and ranks do not tell what was listed; `nextitem evaluate RUN --metrics "
            f"{name}` makes the lists of a stored run anew"
        )
    return asked.of_ranks


def _parsed(name: str) -> tuple[str, int]:
    if name == "mrr":
        return name, sys.maxsize
    known = (*RANK_METRICS, *LIST_METRICS)
    match = re.fullmatch(r"([a-z_]+)@([1-9][0-9]*)", name)
    if match is None or match[1] not in known:
        raise ConfigurationError(
            f"unknown metric '{name}'; known are {', '.join(f'{metric}@k' for metric in known)}, with k a positive "
            f"number, and mrr without one"
        )
    return match[1], int(match[2])

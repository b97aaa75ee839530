"""What a rank is worth: the shelf of metrics, and what they are called."""

import re
import sys
from collections.abc import Mapping, Sequence

from nextitem.errors import ConfigurationError
from nextitem.evaluation.metrics.hit_rate import hit_rate
from nextitem.evaluation.metrics.metric import RankMetric
from nextitem.evaluation.metrics.mrr import mrr
from nextitem.evaluation.metrics.ndcg import ndcg

RANK_METRICS: Mapping[str, RankMetric] = {"hit_rate": hit_rate, "ndcg": ndcg, "mrr": mrr}

DEFAULT_METRICS = ("hit_rate@10", "ndcg@10", "mrr@10", "hit_rate@100", "ndcg@100", "mrr@100")
"""What is reported of a full ranking where nothing else is asked for."""
SAMPLED_METRICS = ("hit_rate@1", "hit_rate@5", "hit_rate@10", "ndcg@5", "ndcg@10", "mrr")
"""What papers report that rank a target among few items (Sun et al., 2019)."""


def parse_metric(name: str) -> tuple[RankMetric, int]:
    """The function and the k of a name such as `ndcg@10`. Raises ConfigurationError for another form.

    `mrr` alone is not cut: its k is larger than any catalogue.
    """
    if name == "mrr":
        return mrr, sys.maxsize
    match = re.fullmatch(r"([a-z_]+)@([1-9][0-9]*)", name)
    if match is None or match[1] not in RANK_METRICS:
        known = ", ".join(f"{metric}@k" for metric in RANK_METRICS)
        raise ConfigurationError(
            f"unknown metric '{name}'; known are {known}, with k a positive number, and mrr without one"
        )
    return RANK_METRICS[match[1]], int(match[2])


def parse_metrics(names: Sequence[str]) -> dict[str, tuple[RankMetric, int]]:
    """As `parse_metric`, by name; also raises ConfigurationError where there is no name."""
    if not names:
        raise ConfigurationError("no metric to report; name at least one, such as 'ndcg@10'")
    return {name: parse_metric(name) for name in names}

"""The shelf of metrics: one file each, and one line in a table of contents.

They are of targets, of questions, of a list or of all lists. One of targets or questions is known wherever ranks are,
also of stored runs. Those of lists need the k best items of every question, which `evaluate` makes only where such a
metric is asked for, once for all of them; none is in a default list.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nextitem.errors import ConfigurationError
from nextitem.evaluation.metrics.average_precision import average_precision
from nextitem.evaluation.metrics.coverage import coverage
from nextitem.evaluation.metrics.gini import gini
from nextitem.evaluation.metrics.hit_rate import hit_rate
from nextitem.evaluation.metrics.intra_list_diversity import intra_list_diversity
from nextitem.evaluation.metrics.metric import AggregateMetric, ListMetric, QuestionMetric, TargetMetric
from nextitem.evaluation.metrics.mrr import mrr
from nextitem.evaluation.metrics.ndcg import ndcg
from nextitem.evaluation.metrics.novelty import novelty
from nextitem.evaluation.metrics.popularity_bias import popularity_bias
from nextitem.evaluation.metrics.precision import precision
from nextitem.evaluation.metrics.recall import recall

TARGET_METRICS: dict[str, TargetMetric] = {"hit_rate": hit_rate, "mrr": mrr}
QUESTION_METRICS: dict[str, QuestionMetric] = {
    "ndcg": ndcg, "recall": recall, "precision": precision, "map": average_precision,
}  # fmt: skip
LIST_METRICS: dict[str, ListMetric] = {"novelty": novelty, "intra_list_diversity": intra_list_diversity}
AGGREGATE_METRICS: dict[str, AggregateMetric] = {
    "coverage": coverage, "gini": gini, "popularity_bias": popularity_bias,
}  # fmt: skip

DEFAULT_METRICS = ("hit_rate@10", "ndcg@10", "mrr@10", "hit_rate@100", "ndcg@100", "mrr@100")
"""What is reported of a full ranking where nothing else is asked for."""
SAMPLED_METRICS = ("hit_rate@1", "hit_rate@5", "hit_rate@10", "ndcg@5", "ndcg@10", "mrr")
"""What papers report that rank a target among few items (Sun et al., 2019)."""


@dataclass(frozen=True)
class Asked:
    """Metrics by name, such as `ndcg@10`, each with its k."""

    of_targets: Mapping[str, tuple[TargetMetric, int]]
    of_questions: Mapping[str, tuple[QuestionMetric, int]]
    of_lists: Mapping[str, tuple[ListMetric, int]]
    of_all_lists: Mapping[str, tuple[AggregateMetric, int]]

    @property
    def of_ranks(self) -> tuple[str, ...]:
        """The names of those for which ranks are enough."""
        return (*self.of_targets, *self.of_questions)

    @property
    def listed(self) -> tuple[str, ...]:
        """The names of those that need lists."""
        return (*self.of_lists, *self.of_all_lists)

    @property
    def lengths(self) -> dict[str, int]:
        """By name how far a list is looked at: k."""
        parts = (self.of_targets, self.of_questions, self.of_lists, self.of_all_lists)
        return {name: k for part in parts for name, (_, k) in part.items()}

    @property
    def longest(self) -> int:
        """How long a list has to be for all that need one; 0 where none does."""
        return max([k for _, k in (*self.of_lists.values(), *self.of_all_lists.values())], default=0)


def parse_metrics(names: Sequence[str]) -> Asked:
    """What is meant by names such as `ndcg@10`. Raises ConfigurationError for an unknown one, and where there is none.

    `mrr` alone is not cut: its k is larger than any catalogue.
    """
    if not names:
        raise ConfigurationError("no metric to report; name at least one, such as 'ndcg@10'")
    parsed = {name: _parsed(name) for name in names}
    return Asked(
        {name: (TARGET_METRICS[word], k) for name, (word, k) in parsed.items() if word in TARGET_METRICS},
        {name: (QUESTION_METRICS[word], k) for name, (word, k) in parsed.items() if word in QUESTION_METRICS},
        {name: (LIST_METRICS[word], k) for name, (word, k) in parsed.items() if word in LIST_METRICS},
        {name: (AGGREGATE_METRICS[word], k) for name, (word, k) in parsed.items() if word in AGGREGATE_METRICS},
    )


def rank_metrics(names: Sequence[str]) -> Asked:
    """As `parse_metrics`, where ranks are all that is known: also raises ConfigurationError for a metric of lists."""
    asked = parse_metrics(names)
    for name in asked.listed:
        raise ConfigurationError(
            f"{name} is a metric of lists, and ranks do not tell what was listed; `nextitem evaluate RUN --metrics "
            f"{name}` makes the lists of a stored run anew"
        )
    return asked


def _parsed(name: str) -> tuple[str, int]:
    if name == "mrr":
        return name, sys.maxsize
    known = (*TARGET_METRICS, *QUESTION_METRICS, *LIST_METRICS, *AGGREGATE_METRICS)
    match = re.fullmatch(r"([a-z_]+)@([1-9][0-9]*)", name)
    if match is None or match[1] not in known:
        raise ConfigurationError(
            f"unknown metric '{name}'; known are {', '.join(f'{metric}@k' for metric in known)}, with k a positive "
            f"number, and mrr without one"
        )
    return match[1], int(match[2])

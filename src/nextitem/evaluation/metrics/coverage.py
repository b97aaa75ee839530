"""How much of the catalogue anybody is shown. R rows of means, L listed items, N items."""

from torch import Tensor

from nextitem.evaluation.metrics.metric import AggregateMetric, listed


def _share(means_RL: Tensor, number_of_items: int) -> Tensor:
    return (means_RL > 0).sum(1).double() / number_of_items


coverage = AggregateMetric(listed, _share, least=0, most=1)
"""Share of all items of the catalogue that are in any list, shape (R,).

M. Ge, C. Delgado-Battenfeld and D. Jannach, Beyond accuracy: evaluating recommender systems by coverage and
serendipity, RecSys 2010. More users list more items: values of different users do not compare.
"""

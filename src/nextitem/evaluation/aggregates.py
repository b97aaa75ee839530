"""Metrics of all lists together, such as coverage: their values, and intervals by resampled users.

Q lists, U users, E numbers of lists, L columns in which any list has one, R resamples.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from nextitem.compute.randomness import Purpose, generator
from nextitem.data.splits.questions import owners
from nextitem.evaluation.intervals import percentiles, resampled
from nextitem.evaluation.metrics.metric import AggregateMetric, Lists, Numbers

_RESAMPLES = 1000
Interval = tuple[float, float]


def aggregates(
    lists: Lists, users_Q: Tensor, metrics: Mapping[str, tuple[AggregateMetric, int]], seed: int | None
) -> tuple[dict[str, float], dict[str, Interval]]:
    """By metric, such as `coverage@10`, its value, and its 95 % interval where there is a `seed`.

    Of a user with several lists each counts in part, so that all users count alike. A resample holds about 63 % of the
    users and therefore lists fewer items, less evenly: its values lie to one side. So the interval is the middle 95 %
    of the resamples, moved by what their mean differs from the value.
    """
    found, intervals = {}, {}
    for name, (metric, k) in metrics.items():
        means = _Means(metric.numbers(lists.first(k)), users_Q)
        found[name] = float(metric.of_means(means.of(torch.ones(1, means.users)), means.columns))
        if seed is not None:
            counts = resampled(means.users, generator(seed, Purpose.BOOTSTRAP), _RESAMPLES)
            drawn_R = torch.cat([metric.of_means(means.of(counts_BU), means.columns) for counts_BU in counts])
            low, high = (percentiles(drawn_R[:, None])[0] - drawn_R.mean() + found[name]).tolist()
            # Where the value is at a bound, resamples lie on one side of it, and their mean on that side as well.
            intervals[name] = max(metric.least, min(low, found[name])), min(metric.most, max(high, found[name]))
    return found, intervals


class _Means:
    """Means over users of the numbers that their lists have in each column."""

    def __init__(self, numbers: Numbers, users_Q: Tensor) -> None:
        # Here, because scipy takes a moment to import, which only those who ask for such a metric should wait.
        from scipy.sparse import csr_matrix

        owners_Q = owners(users_Q)
        lists_U = torch.bincount(owners_Q)
        owners_E = owners_Q[numbers.lists_E]
        used_L, columns_E = numbers.columns_E.unique(return_inverse=True)
        values_E = numbers.values_E.double() / lists_U[owners_E]
        self.users, self.columns = len(lists_U), numbers.columns
        shape = (self.users, len(used_L))
        self._numbers_LU = csr_matrix((values_E.numpy(), (owners_E.numpy(), columns_E.numpy())), shape=shape).T.tocsr()

    def of(self, counts_BU: Tensor) -> Tensor:
        """Those of users who are there so many times, of the columns that any list has, shape (B, L)."""
        return torch.from_numpy(self._numbers_LU @ counts_BU.double().numpy().T).T / self.users

"""What users said no to as negatives beside those that are drawn. T positions, R sets, K negatives, D of them."""

from dataclasses import replace

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.model.batches import Batch, Drawn
from nextitem.model.negatives.negatives import Sampler


def with_disliked(sampler: Sampler, train: Sequences, count: int) -> Sampler:
    """The sampler whose sets have so many more items, each drawn among what the user said no to in training.

    Raises ConfigurationError where nobody said no to anything.
    """
    if not count:
        return sampler
    disliked = train.disliked()
    if disliked is None or not bool((disliked.lengths_U > 0).any()):
        raise ConfigurationError(
            f"negatives.disliked={count} draws among what users said no to, and no event of training is of such a "
            f"kind; say which is (kinds.dislike=disliked), or leave negatives.disliked out"
        )
    return WithDisliked(sampler, disliked, count)


class WithDisliked:
    """Sets of a sampler with D items more, drawn with replacement; excluded where the user said no to nothing.

    How likely such an item is in a set is not known in general, so `log_q` is None: a loss cannot correct for it.
    """

    def __init__(self, sampler: Sampler, disliked: Sequences, count: int) -> None:
        self.sampler, self.disliked, self.count = sampler, disliked, count
        users_U, device = disliked.users_U, disliked.users_U.device
        self._row_of_user = torch.full((int(users_U.max()) + 1,), -1, device=device)
        self._row_of_user[users_U] = torch.arange(len(users_U), device=device)

    def sample(self, batch: Batch, generator: torch.Generator) -> Drawn:
        """The negatives of one step: those of the sampler first."""
        drawn = self.sampler.sample(batch, generator)
        users_R = batch.users_B[batch.rows_T] if drawn.sharing == "position" else batch.users_B
        rows_R = self._row_of_user[users_R]
        starts_R, counts_R = self.disliked.starts_U[rows_R], self.disliked.lengths_U[rows_R]
        shares_RD = torch.rand(
            (len(rows_R), self.count), generator=generator, device=rows_R.device, dtype=torch.float64
        )
        places_RD = starts_R[:, None] + (shares_RD * counts_R[:, None]).long()
        ids_RD = self.disliked.at(places_RD.clamp(max=len(self.disliked.events) - 1))
        is_none_RD = (counts_R == 0)[:, None].expand(ids_RD.shape)
        excluded = torch.cat([_or_nowhere(drawn), is_none_RD], 1)
        return replace(drawn, ids=torch.cat([drawn.ids, ids_RD], 1), excluded=excluded, log_q=None, target_log_q_T=None)


def _or_nowhere(drawn: Drawn) -> Tensor:
    return torch.zeros_like(drawn.ids, dtype=torch.bool) if drawn.excluded is None else drawn.excluded

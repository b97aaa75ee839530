"""Old events count less: a half-life, in events or in days."""

from dataclasses import replace

import torch

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError

_DAY = 86_400.0  # seconds


def fading(sequences: Sequences, events: float | None, days: float | None) -> Sequences:
    """The same views of events that as targets weigh 2^(−age/half-life) times what they weighed; None: not so.

    Of `events` the newest one of a view is 0 old and the one before it 1; of `days` the age is counted from the latest
    event of all views, so that it is the same for every user. Both multiply. Four bytes an event are kept in memory,
    also of a mapped log. Raises DataError for days where times are not known.

    >>> fading(Sequences.of([[3, 1, 2], [0]], number_of_items=4), events=1.0, days=None).weights()
    tensor([0.2500, 0.5000, 1.0000, 1.0000])
    """
    if events is None and days is None:
        return sequences
    if days is not None and not sequences.has_times:
        raise DataError(
            "a half-life in days needs to know when events were, and these have no times; give events with a column "
            "of times, or a half-life in events"
        )
    latest = None
    if days is not None:
        latest = max((float(part.times().max()) for part in sequences.parts() if len(part.events)), default=0.0)
    weights = torch.ones(len(sequences.events), device=sequences.starts_U.device)
    for part in sequences.parts():
        rows, offsets = transfer.places(part.lengths_U, int(part.sizes_U.sum()))
        ages = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)  # in half-lives
        if events is not None:
            ages += (part.lengths_U[rows] - 1 - offsets) / events
        if days is not None and latest is not None:
            ages += (latest - part.times().double()) / (days * _DAY)
        weights[part.starts_U[rows] + offsets] = (part.weights().double() * torch.exp2(-ages)).float()
    return replace(sequences, events=replace(sequences.events, weights=weights))

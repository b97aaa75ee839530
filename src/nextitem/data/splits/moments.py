"""Moments that part a log: from dates and shares to unix seconds, and to a place in each history. U users."""

import math
from datetime import UTC, datetime, timedelta

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError

Moment = int | float
"""Unix seconds."""
_BINS = 1 << 16  # of the histogram by which a quantile is found


def moment_of(date: str) -> Moment:
    """Unix seconds of a date, or date and time, in ISO 8601; without a zone it is UTC. Raises ValueError.

    >>> moment_of("2015-03-01"), moment_of("2015-03-01T01:00+01:00")
    (1425168000, 1425168000)
    """
    found = datetime.fromisoformat(date)
    seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return int(seconds) if seconds.is_integer() else seconds


def said(moment: Moment) -> str:
    """A moment as people write it, in UTC; one that no calendar has as its number.

    >>> said(1425168000), said(1e15)
    ('2015-03-01 00:00:00 UTC', '1e+15')
    """
    try:
        found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)
    except OverflowError:
        return f"{moment:g}"
    return f"{found:%Y-%m-%d %H:%M:%S} UTC"


def span(sequences: Sequences) -> tuple[Moment, Moment]:
    """The times of the earliest and the latest event. Raises DataError where a history is not in order of time."""
    low, high = None, None
    for part in sequences.parts():
        times = part.times()
        if not len(times):
            continue
        rows, _ = transfer.places(part.lengths_U, len(times))
        is_earlier = (times[1:] < times[:-1]) & (rows[1:] == rows[:-1])
        if bool(is_earlier.any()):
            user = int(part.users_U[rows[int(is_earlier.nonzero()[0, 0])]])
            raise DataError(f"the times of user number {user:,} descend; give each history in order of time")
        low = times.min() if low is None else torch.minimum(low, times.min())
        high = times.max() if high is None else torch.maximum(high, times.max())
    if low is None or high is None:
        raise DataError("the log has no events, so nothing can be held out")
    return low.item(), high.item()


def quantile(sequences: Sequences, share: float) -> Moment:
    """The time of the event that stands at `share` of all, in order of time: no more than that share is earlier.

    Read three times, some at a time, so that a log larger than the memory has one as well. Raises DataError as `span`.
    """
    low, high = span(sequences)
    rank = int(share * int(sequences.lengths_U.sum()))
    if low == high:
        return low
    counts = torch.zeros(_BINS, dtype=torch.int64)
    for part in sequences.parts():
        counts += torch.bincount(_bins(part.times(), low, high), minlength=_BINS)
    bound = int(torch.searchsorted(counts.cumsum(0), rank, right=True))
    times = [times[_bins(times, low, high) == bound] for times in (part.times() for part in sequences.parts())]
    return torch.cat(times).sort().values[rank - int(counts[:bound].sum())].item()


def _bins(times: Tensor, low: Moment, high: Moment) -> Tensor:
    """In which of equal stretches of time each event is: an earlier event is never in a later one."""
    return ((times.double() - low) / (high - low) * (_BINS - 1)).long()


def places_at(sequences: Sequences, moment: Moment) -> Tensor:
    """The place of each view's first event at `moment` or later, its stop where there is none, shape (U,).

    By halving: a few events of each view are read, and never all.
    """
    times = sequences.events.times
    if times is not None and not times.is_floating_point():
        # Beside a number with a fraction torch compares whole ones in single precision: 128 seconds would be one.
        moment = math.ceil(moment)
    low_U, high_U = sequences.starts_U.clone(), sequences.stops_U.clone()
    while bool((is_open_U := low_U < high_U).any()):
        middle_U = torch.div(low_U + high_U, 2, rounding_mode="floor")
        is_earlier_U = torch.zeros_like(is_open_U)
        is_earlier_U[is_open_U] = sequences.events.times_at(middle_U[is_open_U]) < moment
        low_U = torch.where(is_earlier_U, middle_U + 1, low_U)
        high_U = torch.where(is_open_U & ~is_earlier_U, middle_U, high_U)
    return low_U

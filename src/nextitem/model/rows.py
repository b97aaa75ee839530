"""Views of events as rows of a batch, padded on the right. B rows, L length, T target positions."""

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences
from nextitem.model.batches import MASK, PAD, Batch


def pad_right(sequences: Sequences, *, room: int = 0) -> tuple[Tensor, Tensor]:
    """(items_BL, lengths_B): the views as rows padded with PAD to the longest plus `room` more places."""
    lengths_B = sequences.lengths_U
    length = (int(sequences.sizes_U.max()) if len(sequences) else 0) + room
    columns_L = torch.arange(length, device=lengths_B.device)
    is_real_BL = columns_L < lengths_B[:, None]
    items_BL = torch.full(is_real_BL.shape, PAD, device=lengths_B.device)
    if len(sequences.events):
        places_BL = (sequences.starts_U[:, None] + columns_L).clamp_(max=len(sequences.events) - 1)
        items_BL = torch.where(is_real_BL, sequences.at(places_BL), PAD)
    return items_BL, lengths_B


def pad_times(sequences: Sequences, *, room: int = 0) -> Tensor | None:
    """Unix seconds of the places that `pad_right` gives, shape (B, L), as exact as the log has them, or None.

    After its end a row has the time of its newest event, and an empty row 0: nothing later is given away.
    """
    if not sequences.has_times:
        return None
    lengths_B = sequences.lengths_U
    length = (int(sequences.sizes_U.max()) if len(sequences) else 0) + room
    if not len(sequences.events):
        return torch.zeros((len(sequences), length), dtype=torch.int64, device=lengths_B.device)
    columns_BL = torch.minimum(torch.arange(length, device=lengths_B.device), lengths_B[:, None] - 1)
    places_BL = (sequences.starts_U[:, None] + columns_BL).clamp_(min=0, max=len(sequences.events) - 1)
    return sequences.events.times_at(places_BL).masked_fill_((lengths_B == 0)[:, None], 0)


def asked_times(histories: Sequences) -> Tensor | None:
    """When what comes after each place of `pad_right` happened, shape (B, L), or None where that is not to be known.

    After the newest event that is what the history is asked for. No history is empty.
    """
    times_BL = pad_times(histories)
    if times_BL is None or histories.asked_U is None:
        return None
    next_BL = torch.cat([times_BL[:, 1:], times_BL[:, -1:]], 1)
    return next_BL.scatter(1, histories.lengths_U[:, None] - 1, histories.events.times_at(histories.asked_U[:, None]))


def may_be_asked(sequences: Sequences) -> Tensor:
    """Which places of the rows that `pad_right` gives may be targets, shape (B, L), on the CPU: no padding is one."""
    sizes_B = sequences.sizes_U
    columns_L = torch.arange(int(sizes_B.max()) if len(sequences) else 0)
    is_real_BL = columns_L < sizes_B[:, None]
    if not sequences.has_weights:
        return is_real_BL
    return is_real_BL.masked_scatter(is_real_BL, transfer.fetch(sequences.weights() > 0))


def hide(sequences: Sequences, is_hidden_BL: Tensor) -> Batch:
    """The views as rows in which MASK stands for some items, which are the targets; T may be 0.

    `is_hidden_BL` is on the CPU, wherever the views are: it decides T. It is within `may_be_asked`.
    """
    items_BL, lengths_B = pad_right(sequences)
    positions_T = transfer.send(is_hidden_BL.flatten().nonzero()[:, 0], items_BL.device)
    flat, width = items_BL.flatten(), max(1, items_BL.shape[1])
    times_BL = pad_times(sequences)
    if times_BL is not None:
        columns_L = torch.arange(items_BL.shape[1], device=items_BL.device)
        is_shown_BL = (columns_L < lengths_B[:, None]) & ~transfer.send(is_hidden_BL, items_BL.device)
        times_BL = _of_shown(times_BL, is_shown_BL)
    rows_T, weights_T = positions_T // width, None
    if sequences.has_weights:
        weights_T = sequences.events.weights_at(sequences.starts_U[rows_T] + positions_T % width)
    return Batch(
        flat.index_fill(0, positions_T, MASK).view_as(items_BL),
        lengths_B,
        positions_T,
        flat[positions_T],
        rows_T,
        sequences.users_U,
        weights_T,
        host_lengths_B=sequences.sizes_U,
        host_counts_B=is_hidden_BL.sum(1),
        times_BL=times_BL,
    )


def _of_shown(times_BL: Tensor, is_shown_BL: Tensor) -> Tensor:
    """Times that ascend, where what is not shown has that of the event shown before it, or else of the first shown.

    So it is at a query: when an item will follow is no more known than which.
    """
    if not times_BL.shape[1]:
        return times_BL
    lowest = times_BL.amin(1, keepdim=True)
    latest_BL = torch.where(is_shown_BL, times_BL, lowest).cummax(1).values
    first_B = is_shown_BL.to(torch.uint8).argmax(1, keepdim=True)  # 0 where none is shown
    return torch.maximum(latest_BL, times_BL.gather(1, first_B))

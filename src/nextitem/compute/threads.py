"""Pieces of work side by side, each on a thread of its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

_Piece = TypeVar("_Piece")
_Found = TypeVar("_Found")


def side_by_side(work: Callable[[_Piece], _Found], pieces: Sequence[_Piece]) -> list[_Found]:
    """What `work` returns for each piece, in their order, without gradients; as many at a time as torch has threads.

    Operations on small tensors do not share well, so each piece is computed by one thread alone.
    """
    threads = min(torch.get_num_threads(), len(pieces))
    if threads < 2:
        return _one_by_one(work, pieces)
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        return list(pool.map(torch.no_grad()(work), pieces))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # also of threads that are yet to be started


@contextmanager
def by_threads(threads: int) -> Iterator[None]:
    """Torch computes with so many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def _one_by_one(work: Callable[[_Piece], _Found], pieces: Iterable[_Piece]) -> list[_Found]:
    return [work(piece) for piece in pieces]

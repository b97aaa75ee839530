"""What a file of usearch links to what, checked before its C++ follows a link. N vectors, L links of a list.

The file has the vectors (rows and bytes of a row, as two numbers of 32 bits, then the rows), 64 bytes that say what
they are, five numbers of 64 bits (N, links of a list above the lowest level, and on it, the highest level, and the
vector where a search begins), the level of each vector in 16 bits, and then for each its key, its level again, and a
list of links for each level from the lowest on: their number and the places of the vectors, in 32 bits each.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ABOUT, _MAGIC, _KEY, _LEVEL, _WORD = 64, b"usearch", 8, 2, 4
_AT_A_TIME = 100_000  # vectors whose links are looked at together: some 15 MB
_HIGHEST = 64  # level; each holds a small part of the one below

Bytes = NDArray[np.uint8]


class _Shape(NamedTuple):
    """The five numbers."""

    vectors: int
    links: int
    lowest_links: int
    highest: int
    first: int


def check_links(file: Path) -> int:
    """How many bytes a vector has.

    Raises ValueError, saying what is wrong, for a file of other sizes than it says, or with a link to nowhere.
    """
    content: Bytes = np.memmap(file, np.uint8, mode="r") if file.stat().st_size else np.zeros(0, np.uint8)
    rows, width = (int(one) for one in _numbers(content, 0, 2, np.uint32))
    about = 2 * _WORD + rows * width
    if bytes(content[about : about + len(_MAGIC)]) != _MAGIC:
        raise ValueError("is no index")
    shape = _Shape(*(int(one) for one in _numbers(content, about + _ABOUT, 5, np.uint64)))
    if shape.vectors != rows or shape.highest > _HIGHEST or max(shape.links, shape.lowest_links) > 1 << 12:
        raise ValueError(f"has {rows:,} vectors and says {shape}")
    start = about + _ABOUT + 5 * 8
    levels_N = _numbers(content, start, rows, np.int16).astype(np.int64)
    if rows and not (levels_N.min() >= 0 and levels_N.max() <= shape.highest and shape.first < rows):
        raise ValueError("has levels or a beginning that there are not")
    sizes_N = _KEY + _LEVEL + _size(shape.lowest_links) + levels_N * _size(shape.links)
    starts_N = start + _LEVEL * rows + sizes_N.cumsum() - sizes_N
    if (said := start + _LEVEL * rows + int(sizes_N.sum())) != len(content):
        raise ValueError(f"has {len(content):,} bytes, and its lists of links should end at {said:,}")
    if rows and levels_N[shape.first] != shape.highest:
        raise ValueError("begins at a vector that is not on the highest level")
    _check_heads(content, starts_N, levels_N)
    _check_level(content, starts_N + _KEY + _LEVEL, shape.lowest_links, levels_N, 0)
    for level in range(1, shape.highest + 1):
        there = np.flatnonzero(levels_N >= level)
        skipped = _KEY + _LEVEL + _size(shape.lowest_links) + (level - 1) * _size(shape.links)
        _check_level(content, starts_N[there] + skipped, shape.links, levels_N, level)
    return width


def _check_heads(content: Bytes, starts_N: NDArray[np.int64], levels_N: NDArray[np.int64]) -> None:
    """The keys are the places of the vectors, each once, and levels are what they are in the list of all."""
    seen_N = np.zeros(len(starts_N), dtype=bool)
    for part in range(0, len(starts_N), _AT_A_TIME):
        heads = _gathered(content, starts_N[part : part + _AT_A_TIME], _KEY + _LEVEL)
        keys, levels = heads[:, :_KEY].copy().view(np.uint64)[:, 0], heads[:, _KEY:].copy().view(np.int16)[:, 0]
        if (keys >= len(starts_N)).any() or (levels != levels_N[part : part + _AT_A_TIME]).any():
            raise ValueError("has a vector of another key or level than there are")
        seen_N[keys.astype(np.int64)] = True
    if not seen_N.all():
        raise ValueError("has two vectors of one key")


def _check_level(
    content: Bytes, starts: NDArray[np.int64], links: int, levels_N: NDArray[np.int64], level: int
) -> None:
    """Each list has no more links than there is room for, and they lead to vectors of that level."""
    for part in range(0, len(starts), _AT_A_TIME):
        lists = _gathered(content, starts[part : part + _AT_A_TIME], _size(links)).view(np.uint32)
        counts, places_RL = lists[:, :1], lists[:, 1:]
        is_link_RL = np.arange(links)[None] < counts
        places = places_RL[is_link_RL].astype(np.int64)
        if (counts > links).any() or (places >= len(levels_N)).any() or (levels_N[places] < level).any():
            raise ValueError("links to vectors that are not there")


def _size(links: int) -> int:
    """Bytes of a list with room for so many links."""
    return _WORD * (1 + links)


def _gathered(content: Bytes, starts: NDArray[np.int64], size: int) -> Bytes:
    """So many bytes from each of these places on."""
    return np.take(content, starts[:, None] + np.arange(size))


def _numbers(content: Bytes, start: int, count: int, kind: type[np.integer]) -> NDArray[np.integer]:
    """Numbers that stand one after the other. Raises ValueError where the file ends before."""
    size = count * np.dtype(kind).itemsize
    if start + size > len(content):
        raise ValueError("is no index, or was cut off")
    return np.frombuffer(content[start : start + size].tobytes(), dtype=kind)

"""Vectors linked to their neighbours, along which those of the largest products with another are found. C queries.

The graph is HNSW (Malkov and Yashunin, 2020, arXiv 1603.09320), by the library usearch, whose extra is `index`. It is
one for distances, and products are none: a long vector is near to everything. So vectors get one more number each, by
which all are of one length, and what is asked for a 0 there (Bachrach et al., RecSys 2014): products stay as they are,
and are distances on a sphere.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from nextitem.compute.waiting import Say, silent
from nextitem.errors import ConfigurationError
from nextitem.serving.indexed.links import check_links
from nextitem.storage import filled

if TYPE_CHECKING:  # the extra `index`
    from usearch.index import Index

Numbers = Literal["f32", "bf16", "f16", "i8"]
"""How a vector's numbers are kept in the graph; scores are computed of the model's own."""
_BYTES = {"f32": 4, "bf16": 2, "f16": 2, "i8": 1}
LINKS, BREADTH_ADDED = 32, 128
_CHUNK = 20_000  # vectors that are added between two words about it


class Graph:
    """N vectors of e numbers, of which it is known by their places which are near to which."""

    def __init__(self, index: "Index") -> None:
        self._index = index

    @classmethod
    def empty(
        cls, width: int, numbers: Numbers = "bf16", links: int = LINKS, breadth_added: int = BREADTH_ADDED
    ) -> "Graph":
        """One without vectors, which may be of `width` numbers.

        Each will have up to `links` neighbours (twice as many on the lowest level), chosen among `breadth_added`.
        Raises ConfigurationError where usearch is not installed.
        """
        index = _library()(ndim=width + 1, metric="ip", dtype=numbers, connectivity=links, expansion_add=breadth_added)
        return cls(index)

    @classmethod
    def of(
        cls, vectors_Ne: Tensor, numbers: Numbers = "bf16", links: int = LINKS, breadth_added: int = BREADTH_ADDED,
        *, threads: int = 0, say: Say = silent,
    ) -> "Graph":  # fmt: skip
        """One of all these vectors, built by so many threads, 0: as many as there are cores."""
        graph = cls.empty(vectors_Ne.shape[1], numbers, links, breadth_added)
        graph.add(vectors_Ne, longest(vectors_Ne), threads=threads, say=say)
        return graph

    def add(self, vectors_Me: Tensor, length: float, *, threads: int = 0, say: Say = silent) -> None:
        """Add vectors behind those that are there; `length` is that of the `longest` of all that will be."""
        begun = len(self)
        for start in range(0, len(vectors_Me), _CHUNK):
            some = of_one_length(vectors_Me[start : start + _CHUNK], length)
            keys = np.arange(begun + start, begun + start + len(some), dtype=np.uint64)
            self._index.add(keys, some.numpy(), threads=threads)
            say(f"{begun + start + len(some):,} of {begun + len(vectors_Me):,} items in the index")

    @classmethod
    def opened(cls, file: Path, *, to_add: bool = False) -> "Graph":
        """That of a file, which is read as it is needed or, `to_add` more vectors, into memory.

        Raises ValueError for another content, and ConfigurationError where usearch is not installed.
        """
        library = _library()
        row = check_links(file)
        try:
            index = library.restore(file, view=not to_add)
        except (RuntimeError, ValueError, TypeError, KeyError) as error:  # of its C++, and of kinds it does not know
            raise ValueError(f"is no index ({error})") from error
        if index is None:
            raise ValueError("is no index")
        if row != index.ndim * _BYTES.get(index.dtype.name.lower(), 0):
            raise ValueError(f"has vectors of {row:,} bytes, which are not {index.ndim:,} of {index.dtype.name}")
        return cls(index)

    def write(self, file: Path) -> None:
        """Write it as one file, of which memory holds a copy meanwhile. Raises OSError."""
        with filled(file) as content:
            content.write(cast(bytes, self._index.save()))

    def __len__(self) -> int:
        return len(self._index)

    @property
    def width(self) -> int:
        """e, of the vectors as they were given."""
        return int(self._index.ndim) - 1

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return int(self._index.memory_usage)

    def nearest(self, vectors_Ce: Tensor, count: int) -> Tensor:
        """Places of about the `count` vectors of the largest products with each, largest first, shape (C, count).

        As many are looked at, so that the first of them are the more surely the best the larger `count` is. −1 where
        there are fewer. By one thread.
        """
        asked = pad(vectors_Ce.detach().float(), (0, 1)).numpy()
        found: Any = self._index.search(asked, count, threads=1)
        places = np.full((len(asked), count), -1, dtype=np.int64)
        # Of a single query it gives what it found, of several as many as were asked for, and how many it found.
        for row, keys in enumerate([found.keys] if len(asked) == 1 else map(_first, found.keys, found.counts)):
            places[row, : len(keys)] = keys
        return torch.from_numpy(places)


def _first(keys: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    return keys[:count]


def longest(vectors_Ne: Tensor) -> float:
    """The length of the longest."""
    return float(vectors_Ne.detach().float().norm(dim=1).max()) if len(vectors_Ne) else 0.0


def of_one_length(vectors_Ne: Tensor, length: float) -> Tensor:
    """The vectors with one more number each, by which all are of this length, shape (N, e + 1) float32.

    >>> of_one_length(torch.tensor([[3.0, 0.0], [0.0, 5.0]]), 5.0)
    tensor([[3., 0., 4.],
            [0., 5., 0.]])
    """
    vectors_Ne = vectors_Ne.detach().float()
    missing_N = (length**2 - vectors_Ne.double().square().sum(1)).clamp(min=0).sqrt().float()
    return torch.cat([vectors_Ne, missing_N[:, None]], 1)


def _library() -> "type[Index]":
    """Raises ConfigurationError where it is not installed."""
    try:
        from usearch.index import Index
    except ImportError as error:
        raise ConfigurationError(
            f"an index of items needs a package that is not installed ({error}); run: pip install 'nextitem[index]', "
            f"or take the index out of the run by nextitem index RUN --remove"
        ) from error
    return Index

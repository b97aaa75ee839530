"""Vectors in cells of near ones, by which those of the largest products with another are found. C queries.

An inverted file with a product quantiser (Jégou, Douze and Schmid, 2011, IEEE TPAMI 33(1)) of one number a part, by the
library faiss, whose extra is `index`: a vector is the middle of its cell, and what it differs by is kept in four bits a
number. A search enters the cells of the largest products with their middles, and computes those of all vectors there by
look-ups in registers (André, Kermarrec and Le Scouarnec, 2015, VLDB 9(4)). Products are approximate: of the best by
them exact ones are to be computed. E is the width of the vectors, one more where that is odd.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from nextitem.compute.waiting import Say, silent
from nextitem.errors import ConfigurationError
from nextitem.serving.indexed.coded import LEVELS, Coded

_BITS = 4
_ROUNDS, _SEED = 8, 1  # of k-means
_LEARNT = 64  # vectors of each cell that its middle is learnt from
_CHUNK = 50_000  # vectors that are coded between two words about it


class Cells:
    """N vectors, of which the largest products are found. It does not change; several threads may ask at once."""

    def __init__(self, coded: Coded) -> None:
        """Raises ConfigurationError where faiss is not installed."""
        faiss = _library()
        cells, self.width = coded.middles_GE.shape
        self._library, self._length = faiss, len(coded)
        self._middles = faiss.IndexFlatIP(self.width)  # held here: the index points to it
        self._middles.add(coded.middles_GE)
        # The library packs codes for its look-ups when it copies an index that keeps them one after the other.
        plain = faiss.IndexIVFPQ(self._middles, self.width, cells, self.width, _BITS, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(coded.levels_El.ravel(), plain.pq.centroids)
        plain.is_trained, plain.by_residual = True, True
        places_N, start = coded.places_N.astype(np.int64), 0
        for cell, size in enumerate(coded.sizes_G.tolist()):
            if size:
                places, codes = places_N[start : start + size], coded.codes_NB[start : start + size]
                plain.invlists.add_entries(cell, size, faiss.swig_ptr(places), faiss.swig_ptr(codes))
            start += size
        plain.ntotal = len(coded)
        self._index = faiss.IndexIVFPQFastScan(plain)

    def __len__(self) -> int:
        return self._length

    @property
    def cells(self) -> int:
        """G, how many cells there are."""
        return int(self._index.nlist)

    def nearest(self, vectors_Ce: Tensor, count: int, entered: int) -> Tensor:
        """Places of about the `count` vectors of the largest products with each, shape (C, count), in no sure order.

        −1 where there are fewer in so many cells, those of the largest products with their middles. By one thread.
        """
        asked = _even(vectors_Ce).numpy()
        terms = self._library.SearchParametersIVF(nprobe=min(entered, self.cells))
        with _threads(self._library, 1):
            _, found = self._index.search(asked, count, params=terms)
        return torch.from_numpy(found)


def coded(vectors_Ne: Tensor, *, cells: int = 0, threads: int = 0, say: Say = silent) -> Coded:
    """Vectors in so many cells, 0: half the root of their number, by so many threads, 0: as many as torch has.

    The same vectors give the same cells. Raises ConfigurationError where faiss is not installed.
    """
    faiss = _library()
    number, cells = len(vectors_Ne), cells or max(1, round(len(vectors_Ne) ** 0.5 / 2))
    rows = torch.randperm(number, generator=torch.Generator().manual_seed(_SEED))[: _LEARNT * cells].sort().values
    sample = _even(vectors_Ne[rows]).numpy()
    with _threads(faiss, threads or torch.get_num_threads()):
        say(f"learning {cells:,} cells from {len(rows):,} items")
        means = faiss.Kmeans(
            sample.shape[1],
            cells,
            niter=_ROUNDS,
            seed=_SEED,
            min_points_per_centroid=1,
            max_points_per_centroid=_LEARNT,
        )
        means.train(sample)
        middles_GE = np.ascontiguousarray(means.centroids)
        quantiser = faiss.ProductQuantizer(sample.shape[1], sample.shape[1], _BITS)
        quantiser.cp.min_points_per_centroid = 1
        differences = sample - middles_GE[means.assign(sample)[1]]
        quantiser.train(differences[np.arange(max(len(rows), LEVELS)) % len(rows)])
        cell_N, codes_NB = np.empty(number, np.int32), np.empty((number, sample.shape[1] // 2), np.uint8)
        for start in range(0, number, _CHUNK):
            some = _even(vectors_Ne[start : start + _CHUNK]).numpy()
            chunk = slice(start, start + len(some))
            cell_N[chunk] = means.assign(some)[1]
            codes_NB[chunk] = quantiser.compute_codes(some - middles_GE[cell_N[chunk]])
            say(f"{start + len(some):,} of {number:,} items in the index")
    places_N = cell_N.argsort(kind="stable")
    return Coded(
        middles_GE=middles_GE,
        levels_El=faiss.vector_to_array(quantiser.centroids).reshape(-1, LEVELS),
        sizes_G=np.bincount(cell_N, minlength=cells).astype(np.int32),
        places_N=places_N.astype(np.int32),
        codes_NB=codes_NB[places_N],
    )


def even(width: int) -> int:
    """As many numbers, or one more, which is 0: codes have two in a byte.

    >>> even(64), even(65)
    (64, 66)
    """
    return width + width % 2


def _even(vectors_Ne: Tensor) -> Tensor:
    vectors_Ne = vectors_Ne.detach().float()
    width = vectors_Ne.shape[1]
    return pad(vectors_Ne, (0, even(width) - width)).contiguous()


@contextmanager
def _threads(faiss: Any, threads: int) -> Iterator[None]:
    """The library computes with so many threads in this one, and then with as many as before."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _library() -> Any:
    """Raises ConfigurationError where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise ConfigurationError(
            f"an index of items needs a package that is not installed ({error}); run: pip install 'nextitem[index]', "
            f"or take the index out of the run by nextitem index RUN --remove"
        ) from error
    return faiss

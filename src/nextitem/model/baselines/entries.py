"""Entries of sparse matrices by their rows: which of them are kept, and what stands where."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def first_of_each(matrix: "csr_matrix", count: int) -> "csr_matrix":
    """The first entries of each row, at most `count`."""
    sizes = np.diff(matrix.indptr)
    places = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], sizes)
    return _kept(matrix, np.flatnonzero(places < count), np.minimum(sizes, count))


def largest_of_each(matrix: "csr_matrix", count: int) -> "csr_matrix":
    """The largest entries of each row, at most `count`; of equal ones the first."""
    sizes = np.diff(matrix.indptr)
    widest = sizes.max(initial=0)
    if widest <= count:
        return matrix
    rows = np.repeat(np.arange(len(sizes)), sizes)
    padded = np.full((len(sizes), widest), -np.inf)
    padded[rows, np.arange(matrix.nnz) - matrix.indptr[rows]] = matrix.data
    least = np.partition(padded, widest - count, axis=1)[:, widest - count][rows]
    is_more, is_least = matrix.data > least, matrix.data == least
    rank = np.append(0, is_least.cumsum())
    rank = rank[1:] - rank[matrix.indptr[rows]]  # from 1, among the equal ones of the row
    room = count - np.bincount(rows[is_more], minlength=len(sizes))
    chosen = is_more | is_least & (rank <= room[rows])
    return _kept(matrix, np.flatnonzero(chosen), np.minimum(sizes, count))


def divided_at(matrix: "csr_matrix", column: int) -> tuple["csr_matrix", "csr_matrix"]:
    """The entries before a column and those from it on, both as wide as the matrix."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    is_before = matrix.indices < column
    before, after = (
        _kept(matrix, np.flatnonzero(chosen), np.bincount(rows[chosen], minlength=matrix.shape[0]))
        for chosen in (is_before, ~is_before)
    )
    return before, after


def values_at(matrix: "csr_matrix", rows: NDArray[np.int64], columns: NDArray[Any]) -> NDArray[np.float64]:
    """The values at some places of a matrix that is in order, 0 where it has none."""
    rows_of_all = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    keys, wanted = (row * matrix.shape[1] + column for row, column in ((rows_of_all, matrix.indices), (rows, columns)))
    places = keys.searchsorted(wanted)
    is_there = np.append(keys, -1)[places] == wanted
    values: NDArray[np.float64] = np.where(is_there, np.append(matrix.data, 0)[places], 0)
    return values


def in_order(matrix: "csr_matrix") -> "csr_matrix":
    """The same with the columns of each row ascending: turned twice, for less than sorting takes."""
    return matrix.tocsc().tocsr()


def _kept(matrix: "csr_matrix", chosen: NDArray[Any], sizes: NDArray[Any]) -> "csr_matrix":
    """Some entries of a matrix, by their places, and how many of each row they are."""
    from scipy.sparse import csr_matrix

    return csr_matrix((matrix.data[chosen], matrix.indices[chosen], np.append(0, sizes.cumsum())), matrix.shape)

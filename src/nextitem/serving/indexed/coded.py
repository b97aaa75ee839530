"""What an index knows of its vectors, as plain arrays in a file that are checked before C++ reads them.

N vectors of E numbers, E even, in G cells; B = E / 2 bytes of a code.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from nextitem.storage import write_tensors

LEVELS = 16
"""Values of a number that is kept in four bits."""


@dataclass(frozen=True)
class Coded:
    """Vectors by cell: each is the middle of its cell and a rounded difference from it."""

    middles_GE: NDArray[np.float32]
    """The middle of each cell."""
    levels_El: NDArray[np.float32]
    """The values that a difference may have in each place, 16 of them."""
    sizes_G: NDArray[np.int32]
    """How many vectors each cell has."""
    places_N: NDArray[np.int32]
    """Which vectors they are, cell after cell."""
    codes_NB: NDArray[np.uint8]
    """Their differences in that order: two numbers a byte, the first in its low bits."""

    def __len__(self) -> int:
        return len(self.places_N)

    def write(self, file: Path) -> None:
        """Write them as one file. Raises OSError."""
        write_tensors(file, {name: torch.from_numpy(getattr(self, name)) for name in _KINDS})

    @classmethod
    def read(cls, file: Path) -> "Coded":
        """Those of a file. Raises ValueError, saying what is wrong, where they do not go together."""
        try:
            found = {name: tensor.numpy() for name, tensor in load_file(file).items()}
        except SafetensorError as error:
            raise ValueError(f"is no index ({error})") from error
        kinds = {name: (array.dtype, array.ndim) for name, array in found.items()}
        if kinds != {name: (np.dtype(kind), ndim) for name, (kind, ndim) in _KINDS.items()}:
            raise ValueError(f"is no index: it has {', '.join(sorted(found)) or 'nothing'}")
        coded = cls(**found)
        coded._check()
        return coded

    def _check(self) -> None:
        """Raises ValueError where a cell would be read beyond its vectors, or a vector is none of them."""
        (cells, width), vectors = self.middles_GE.shape, len(self)
        if width % 2 or self.levels_El.shape != (width, LEVELS) or self.codes_NB.shape != (vectors, width // 2):
            raise ValueError(
                f"has {len(self.codes_NB):,} codes of {self.codes_NB.shape[1]:,} bytes with levels of shape "
                f"{self.levels_El.shape}, and should have {vectors:,} of vectors of {width:,} numbers"
            )
        if not (np.isfinite(self.middles_GE).all() and np.isfinite(self.levels_El).all()):
            raise ValueError("has numbers that are not finite")
        if len(self.sizes_G) != cells or (self.sizes_G < 0).any() or self.sizes_G.sum(dtype=np.int64) != vectors:
            raise ValueError(f"has {cells:,} cells of sizes that are not those of {vectors:,} vectors")
        if ((self.places_N < 0) | (self.places_N >= vectors)).any():
            raise ValueError(f"has places that none of {vectors:,} vectors has")
        if (np.bincount(self.places_N, minlength=vectors) != 1).any():
            raise ValueError("has a vector twice, and another not at all")


_KINDS: dict[str, tuple[npt.DTypeLike, int]] = {
    "middles_GE": (np.float32, 2),
    "levels_El": (np.float32, 2),
    "sizes_G": (np.int32, 1),
    "places_N": (np.int32, 1),
    "codes_NB": (np.uint8, 2),
}
"""Arrays of a file, with their types and dimensions."""

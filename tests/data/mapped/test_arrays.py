"""Arrays on disk are numpy's own format, whoever writes or reads them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nextitem.data.mapped.arrays import growing, mapped


@pytest.mark.parametrize("kind", ["<i4", "<i8", "<f8"])
@pytest.mark.parametrize("lengths", [[], [3], [2, 0, 5]])
def test_numpy_loads_what_grew(kind: str, lengths: list[int], tmp_path: Path) -> None:
    parts = [np.arange(length) + 0.0 for length in lengths]
    with growing(tmp_path / "a.npy", kind) as append:
        for part in parts:
            append(part)
    found = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert found.dtype.str == kind
    assert found.tolist() == [number for part in parts for number in part]


def test_what_numpy_saves_can_be_mapped_and_released(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([3, 1, 2], dtype=np.int64))
    values, mapping = mapped(tmp_path / "a.npy")
    assert torch.equal(values, torch.tensor([3, 1, 2]))
    assert len(mapping) == (tmp_path / "a.npy").stat().st_size


def test_other_files_and_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"something else")
    with pytest.raises(ValueError, match="magic string"):
        mapped(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    with pytest.raises(ValueError, match="holds an array of 2 dimensions, not of one"):
        mapped(tmp_path / "a.npy")
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, np.zeros(2), version=(2, 0))
    with pytest.raises(ValueError, match=r"another version than 1\.0"):
        mapped(tmp_path / "a.npy")

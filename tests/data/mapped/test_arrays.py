"""Arrays on disk are numpy's own format, whoever writes or reads them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nextitem.data.mapped.arrays import growing, mapped, numbers


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
    values, mapping = mapped(tmp_path / "a.npy", ["<i4", "<i8"], 3)
    assert torch.equal(values, torch.tensor([3, 1, 2]))
    assert len(mapping) == (tmp_path / "a.npy").stat().st_size
    assert torch.equal(numbers(tmp_path / "a.npy", "<i8", 3), values)


def array(**changed: object) -> bytes:
    """A file of three zeros, with something else in its header."""
    said = {"descr": "<i8", "fortran_order": False, "shape": (3,)} | changed
    header = f"{said!r:<117}\n".replace("}", ", }").encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24)


def test_the_array_of_these_tests_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(array())
    assert numbers(tmp_path / "a.npy", "<i8", 3).tolist() == np.load(tmp_path / "a.npy").tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"", "no .npy file of version 1.0"),
        (b"something else", "no .npy file of version 1.0"),
        (array().replace(b"\x01\x00", b"\x02\x00", 1), "no .npy file of version 1.0"),
        (array(shape=(3, 1)), "not that of an array of one dimension"),
        (array(descr="|O"), "not that of an array of one dimension"),
        (array(descr="<f8"), "holds numbers of the kind <f8 and should hold <i8"),
        (array(shape=(4,)), "it states 4 numbers in 24 bytes, and should hold 3 numbers"),
        (array(shape=(10**15,)), "it states 1,000,000,000,000,000 numbers in 24 bytes"),
        (array()[:-1], "it states 3 numbers in 23 bytes"),
        (array() + b"\0", "it states 3 numbers in 25 bytes"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "not that of an array of one dimension"),
    ],
)
def test_other_files_are_refused_before_memory_is_taken_for_them(content: bytes, fact: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=fact):
        mapped(tmp_path / "a.npy", ["<i8"], 3)
    with pytest.raises(ValueError, match=fact):
        numbers(tmp_path / "a.npy", "<i8", 3)

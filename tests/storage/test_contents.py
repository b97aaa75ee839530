"""What fills a file is what the libraries would have written, and what the system refuses names the file."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nextitem.errors import StorageError
from nextitem.storage import (
    refusals,
    whole_file,
    write_array,
    write_csv,
    write_parquet,
    write_rows,
    write_tensors,
    write_text,
)

TABLE = pl.DataFrame({"user": ["a", "b"], "n": [1, 2]})
TENSORS = {
    "b": torch.arange(6.0).reshape(2, 3),
    "a": torch.tensor(3, dtype=torch.int64),
    "c": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "empty": torch.zeros(0, 4),
    "is": torch.tensor([True, False]),
    "half": torch.tensor([0.5], dtype=torch.float16),
    "double": torch.tensor([0.1], dtype=torch.float64),
    "bytes": torch.tensor([1, 2, 3], dtype=torch.uint8),
    "small": torch.tensor([-1], dtype=torch.int8),
    "int": torch.tensor([7], dtype=torch.int32),
    "turned": torch.arange(6.0).reshape(2, 3).T,
}
WRITERS: dict[str, Callable[[Path], None]] = {
    "text": lambda file: write_text(file, "text"),
    "rows": lambda file: write_rows(file, [["a", "b"], [1, 2]]),
    "csv": lambda file: write_csv(file, TABLE),
    "parquet": lambda file: write_parquet(file, TABLE),
    "lazy parquet": lambda file: write_parquet(file, TABLE.lazy()),
    "array": lambda file: write_array(file, np.arange(3)),
    "tensors": lambda file: write_tensors(file, TENSORS),
}
each_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=list(WRITERS))


def test_tensors_have_the_bytes_of_the_library(tmp_path: Path) -> None:
    words = {"one": "a “quoted” word"}
    contiguous = {name: tensor.contiguous() for name, tensor in TENSORS.items()}
    save_file(contiguous, tmp_path / "theirs", words)
    write_tensors(tmp_path / "ours", TENSORS, words)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    found = load_file(tmp_path / "ours")
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)
    with safe_open(tmp_path / "ours", framework="pt") as file:
        assert file.metadata() == words


def test_without_tensors_and_words_there_is_a_file_all_the_same(tmp_path: Path) -> None:
    write_tensors(tmp_path / "none", {})
    assert load_file(tmp_path / "none") == {}


def test_tables_and_arrays_are_read_as_they_were(tmp_path: Path) -> None:
    write_parquet(tmp_path / "eager", TABLE)
    write_parquet(tmp_path / "lazy", TABLE.lazy())
    write_array(tmp_path / "array", np.arange(12, dtype=np.int32).reshape(3, 4))
    write_rows(tmp_path / "rows", [["a", None], [1.5, 'said "so", twice\n']])
    assert pl.read_parquet(tmp_path / "eager").equals(TABLE)
    assert pl.read_parquet(tmp_path / "lazy").equals(TABLE)
    assert np.load(tmp_path / "array").tolist() == np.arange(12).reshape(3, 4).tolist()
    assert (tmp_path / "rows").read_text() == 'a,\n1.5,"said ""so"", twice\n"\n'


@each_writer
@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs the device that is always full")
def test_a_full_disk_is_told_with_the_name_of_the_file(write: Callable[[Path], None], tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as caught:
        write(full)
    assert caught.value.errno == errno.ENOSPC
    assert str(full) in str(caught.value)
    assert Path("/dev/full").is_char_device()


@each_writer
def test_an_interruption_while_a_library_writes_is_no_failure_of_the_library(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting:
        """A file whose writing is interrupted."""

        def __enter__(self) -> "Interrupting":
            return self

        def __exit__(self, *_about: object) -> None:
            pass

        def write(self, _piece: object) -> int:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "open", lambda *_arguments: Interrupting())
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "file")


def test_a_refusal_says_what_was_to_be_written_what_failed_and_what_helps() -> None:
    message = r"cannot write the page: \[Errno 5\] Input/output error: 'draft'; free space or choose another --out"
    with pytest.raises(StorageError, match=message), refusals("the page"):
        raise OSError(errno.EIO, os.strerror(errno.EIO), "draft")


def test_a_folder_that_is_not_there_is_named_and_not_the_draft_in_it(tmp_path: Path) -> None:
    file = tmp_path / "none" / "lists.csv"
    with pytest.raises(StorageError) as caught, refusals(file), whole_file(file):
        pass
    assert (
        str(caught.value) == f"cannot write {file}: there is no folder {file.parent}; make it or choose another --out"
    )

"""What every test may use."""

import errno
import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import settings

# The first call of a torch operation can take a second; how long a test may take is pytest-timeout's business.
settings.register_profile("nextitem", deadline=None)
settings.load_profile("nextitem")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported; tests are offline


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of published event logs; tests that need it are skipped where there is none."""
    name = os.environ.get("NEXTITEM_DATA")
    if not name:
        pytest.skip("set NEXTITEM_DATA to a folder with the published event logs, such as ml-1m.txt.gz")
    folder = Path(name)
    if not folder.is_dir():
        pytest.fail(f"NEXTITEM_DATA={name} is not a folder; correct it, or unset it to skip these tests")
    return folder


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes content under a name; .gz and .zst are compressed."""
    packed = {".gz": gzip.compress, ".zst": zstandard.compress}

    def write(name: str, content: str | bytes) -> Path:
        raw = content.encode() if isinstance(content, str) else content
        file = tmp_path / name
        file.write_bytes(packed.get(file.suffix, bytes)(raw))
        return file

    return write


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that may not be entered, not even by root, whom a system would let."""
    folder = tmp_path / "locked"
    folder.mkdir()
    stat, scandir, listdir = os.stat, os.scandir, os.listdir

    def refusing(call: Callable[..., Any]) -> Callable[..., Any]:
        def refused(path: Any, *arguments: Any, **named: Any) -> Any:
            inside = isinstance(path, str | Path) and folder in Path(path).parents
            if inside or (call is not stat and folder == path):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return call(path, *arguments, **named)

        return refused

    for name, call in (("stat", stat), ("scandir", scandir), ("listdir", listdir)):
        monkeypatch.setattr(os, name, refusing(call))
    yield folder
    monkeypatch.undo()

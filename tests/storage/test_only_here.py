"""Nothing but the room of storage changes what is on disk: whoever writes by other means does not put it there."""

import re
from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("nextitem")))
WRITING = re.compile(
    r"\.(write_text|write_bytes|write_parquet|sink_parquet|sink_csv|tofile|mkdir|makedirs|hardlink_to|symlink_to)\("
    r"|\.rename\((?![\"'{])"  # with a name in quotes, or a mapping, it is a column that is called otherwise
    r"|\b(save_file|np\.save|np\.savez|os\.replace|shutil\.(copy\w*|move))\("
    r"|open\([^)]*[\"'][wax]b?\+?[\"']"
)
ELSEWHERE = {
    "compute/streams.py",  # the stream that stands for a closed stderr goes nowhere
}


def test_files_and_folders_are_written_by_storage_alone() -> None:
    found = {
        str(file.relative_to(PACKAGE)): calls
        for file in PACKAGE.rglob("*.py")
        if file.relative_to(PACKAGE).parts[0] != "storage"
        and (calls := [call[0] for call in WRITING.finditer(file.read_text(encoding="utf-8"))])
    }
    assert found.keys() <= ELSEWHERE, found

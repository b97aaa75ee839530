"""Nothing but the room of storage changes what is on disk: whoever writes by other means does not put it there."""

import re
from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("nextitem")))
WRITING = re.compile(
    r"\.(write_text|write_bytes|write_parquet|sink_parquet|sink_csv|tofile|mkdir|makedirs|rename|hardlink_to|symlink_to)\("
    r"|\b(save_file|np\.save|np\.savez|os\.replace|shutil\.(copy\w*|move))\("
    r"|open\([^)]*[\"'][wax]b?\+?[\"']"
)
# A download is counted while it is written, into a draft; what is renamed there are columns of tables.
ELSEWHERE = {"data/acquisition.py", "data/log.py"}


def test_files_and_folders_are_written_by_storage_alone() -> None:
    found = {
        str(file.relative_to(PACKAGE)): calls
        for file in PACKAGE.rglob("*.py")
        if file.relative_to(PACKAGE).parts[0] != "storage"
        and (calls := [call[0] for call in WRITING.finditer(file.read_text(encoding="utf-8"))])
    }
    assert found.keys() <= ELSEWHERE, found

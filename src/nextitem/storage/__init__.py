"""Files and folders that appear whole, and stay; what proves them later; and what one process has for itself."""

from nextitem.storage.alone import alone_at, alone_in, clear
from nextitem.storage.cells import guarded, unguarded
from nextitem.storage.contents import (
    append_csv,
    extended,
    filled,
    naming,
    refusals,
    write_array,
    write_arrow,
    write_csv,
    write_parquet,
    write_rows,
    write_tensors,
    write_text,
)
from nextitem.storage.opened import SHA256, cannot_read, content_of, opened, parsed, sha256
from nextitem.storage.sealed import MANIFEST, FileFacts, Kind, Manifest, Sealed
from nextitem.storage.whole import empty_folder, leave, make_folder, publish, settle, sync, whole_file, whole_folder

__all__ = [
    "MANIFEST",
    "SHA256",
    "FileFacts",
    "Kind",
    "Manifest",
    "Sealed",
    "alone_at",
    "alone_in",
    "append_csv",
    "cannot_read",
    "clear",
    "content_of",
    "empty_folder",
    "extended",
    "filled",
    "guarded",
    "leave",
    "make_folder",
    "naming",
    "opened",
    "parsed",
    "publish",
    "refusals",
    "settle",
    "sha256",
    "sync",
    "unguarded",
    "whole_file",
    "whole_folder",
    "write_array",
    "write_arrow",
    "write_csv",
    "write_parquet",
    "write_rows",
    "write_tensors",
    "write_text",
]

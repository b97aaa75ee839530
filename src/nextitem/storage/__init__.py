"""Files and folders that appear whole, and stay; what proves them later; and a folder that one process works in."""

from nextitem.storage.alone import alone_in, clear
from nextitem.storage.opened import SHA256, content_of, opened, parsed, sha256
from nextitem.storage.sealed import MANIFEST, FileFacts, Kind, Manifest, Sealed
from nextitem.storage.whole import empty_folder, make_folder, publish, settle, whole_file, whole_folder

__all__ = [
    "MANIFEST",
    "SHA256",
    "FileFacts",
    "Kind",
    "Manifest",
    "Sealed",
    "alone_in",
    "clear",
    "content_of",
    "empty_folder",
    "make_folder",
    "opened",
    "parsed",
    "publish",
    "settle",
    "sha256",
    "whole_file",
    "whole_folder",
]

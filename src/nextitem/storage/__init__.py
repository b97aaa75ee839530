"""Files and folders that appear whole, and stay; what proves them later; and a folder that one process works in."""

from nextitem.storage.alone import alone_in, clear
from nextitem.storage.sealed import MANIFEST, FileFacts, Kind, Manifest, Sealed, sha256
from nextitem.storage.whole import empty_folder, make_folder, publish, settle, whole_file, whole_folder

__all__ = [
    "MANIFEST",
    "FileFacts",
    "Kind",
    "Manifest",
    "Sealed",
    "alone_in",
    "clear",
    "empty_folder",
    "make_folder",
    "publish",
    "settle",
    "sha256",
    "whole_file",
    "whole_folder",
]

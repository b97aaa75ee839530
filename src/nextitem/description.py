"""What identifies a public dataset: where it is kept, its exact content, and the counts it must show when read."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Description:
    """A public dataset as one file; its format follows from the ending of `file`."""

    name: str  # what a recipe or the command line calls it
    file: str  # file name in a folder of data
    address: str  # http(s) address of the exact content
    size: int  # bytes
    git_blob: str  # git's id of the content: sha1 of "blob <size>\0" and the content, in hexadecimal
    users: int
    items: int
    events: int
    source: str  # who published it, and what to cite
    terms: str  # what its owners allow

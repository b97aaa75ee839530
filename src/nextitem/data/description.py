"""What identifies a public dataset: where it is kept, its exact content, and the counts it must show when read."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Raw:
    """The file that a dataset was made of, as its owners give it to who accepts their terms, and how it was made."""

    files: tuple[str, ...]  # names that it has, as it comes or packed
    columns: Mapping[str, str]  # settings of `Columns`
    least_distinct: int  # users with fewer different items were left out; repeats were kept


@dataclass(frozen=True, kw_only=True)
class Description:
    """A public dataset as one file, which may come inside a zip; its format follows from the ending of `file`."""

    name: str  # what a recipe or the command line calls it
    title: str  # what readers call it
    file: str  # file name in a folder of data
    address: str  # http(s) address of the exact content
    size: int | None  # bytes of what the address sends; None where they are not published
    git_blob: str  # git's id of what the address sends: sha1 of "blob <size>\0" and the content, in hexadecimal
    users: int
    items: int
    events: int
    events_rounded_to: int = 1  # the number of events is published rounded to a multiple of this
    archive: str = ""  # name of the zip that the address sends and that holds one file, the events; "" for no zip
    raw: Raw | None = None  # from which it is made where its own file is not there
    source: str  # who published it, and what to cite
    terms: str  # what its owners allow

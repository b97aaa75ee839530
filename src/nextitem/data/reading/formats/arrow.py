"""Arrow files (Feather, version 2): columns that have types, so ids keep theirs, and their blanks."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nextitem.data.reading.format import AS_THE_FORMAT, Content, Layout
from nextitem.errors import DataError
from nextitem.storage.opened import opened

_MAGIC = b"ARROW1"
_OTHERS = {
    b"\xff\xff\xff\xff": "an Arrow stream, which has to be read to its end; write it as an Arrow file",
    b"FEA1": "of Feather's first version; write it in the second one",
}


@dataclass(frozen=True)
class Arrow:
    """Typed columns; rows are counted from 1."""

    name: str = "arrow"
    endings: tuple[str, ...] = (".arrow", ".feather", ".ipc")
    is_text: bool = False
    may_be_packed: bool = False  # it packs its columns itself
    separator: None = None

    def content(self, file: Path, layout: Layout = AS_THE_FORMAT) -> Content:
        """The columns by the file's schema, whatever `layout` says of text. Raises DataError for other files."""
        _require_whole(file)
        scan = pl.scan_ipc(file.absolute(), glob=False, hive_partitioning=False)
        schema = scan.collect_schema()

        def frames(places: Mapping[str, int]) -> Iterator[pl.LazyFrame]:
            yield scan.select(**{role: pl.nth(place) for role, place in places.items()}).with_row_index("row", offset=1)

        return Content(schema.names(), frames, types=schema)


def _require_whole(file: Path) -> None:
    with opened(file) as content:
        beginning = content.read(len(_MAGIC))
        for signature, fact in _OTHERS.items():
            if beginning.startswith(signature):
                raise DataError(f"{file} is {fact}")
        size = content.seek(0, os.SEEK_END)
        content.seek(max(0, size - len(_MAGIC)))
        if beginning != _MAGIC or content.read() != _MAGIC:
            where = "end" if beginning == _MAGIC else "begin"
            raise DataError(
                f"{file} is not a whole Arrow file: it does not {where} like one; write or download it again"
            )


ARROW = Arrow()

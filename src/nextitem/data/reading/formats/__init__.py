"""The shelf of formats in which events may be stored; the ending of a file's name chooses one, or `columns.format`."""

from nextitem.data.reading.format import Format
from nextitem.data.reading.formats.arrow import ARROW
from nextitem.data.reading.formats.comma_separated import COMMA_SEPARATED
from nextitem.data.reading.formats.json_lines import JSON_LINES
from nextitem.data.reading.formats.pairs import PAIRS
from nextitem.data.reading.formats.parquet import PARQUET
from nextitem.data.reading.formats.ratings import RATINGS
from nextitem.data.reading.formats.sequences import SEQUENCES
from nextitem.data.reading.formats.tab_separated import TAB_SEPARATED

EVENT_FORMATS: tuple[Format, ...] = (
    COMMA_SEPARATED, TAB_SEPARATED, PAIRS, SEQUENCES, RATINGS, JSON_LINES, PARQUET, ARROW,
)  # fmt: skip

__all__ = [
    "ARROW", "COMMA_SEPARATED", "EVENT_FORMATS", "JSON_LINES", "PAIRS", "PARQUET", "RATINGS", "SEQUENCES",
    "TAB_SEPARATED",
]  # fmt: skip

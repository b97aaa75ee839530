"""Which format a file has: the one that was told, the one that its name ends in, or the one that a separator tells."""

from pathlib import Path

from nextitem.data.reading.columns import Columns
from nextitem.data.reading.format import Format
from nextitem.data.reading.formats import COMMA_SEPARATED, EVENT_FORMATS, PAIRS
from nextitem.data.reading.packing import PACKINGS, name_without_packing, packing_of
from nextitem.errors import ConfigurationError, DataError
from nextitem.settings.suggestion import suggest

_SAYS_LITTLE = PAIRS.endings
"""Endings of any text: where a log was read in another format, such a file of its kind is too."""


def format_of(file: Path, columns: Columns, like: Columns | None = None) -> Format:
    """The format of a file whose columns are these; `like` are those of the log that a model learnt from.

    Raises DataError where nothing tells it, and for one that was packed although it may not be; ConfigurationError for
    a layout that the format does not have.
    """
    form = told_format(file, columns, like)
    if form is None:
        raise DataError(
            f"{file}: the ending of the name has to tell the format, or columns.format=NAME "
            f"({', '.join(each.name for each in EVENT_FORMATS)}), or of a text columns.separator; {_known(file)}"
        )
    if packing_of(file) and not form.may_be_packed:
        raise DataError(f"{file}: {form.name} packs its columns itself, and is not read out of another file; unpack it")
    if not form.is_text and (columns.separator or columns.header):
        raise ConfigurationError(
            f"{file} is read as {form.name}, where columns have names and nothing divides them; leave out "
            f"columns.separator and columns.header"
        )
    return form


def told_format(file: Path, columns: Columns, like: Columns | None = None) -> Format | None:
    """The format that is told by whoever knows the file, else by its name, else by its separator; None by nothing."""
    named = columns.format
    by_ending = _by_ending(file)
    if named is None and like is not None and (by_ending is None or file_says_little(file)):
        named = like.format
    if named is not None:
        return next(form for form in EVENT_FORMATS if form.name == named)
    if by_ending is not None:
        return by_ending
    separator = columns.layout.separator or (like.layout.separator if like is not None else None)
    if separator is None:
        return None
    # The first on the shelf: a space stands for pairs, and colons for ratings, as .txt and .dat do.
    return next((form for form in EVENT_FORMATS if form.separator == separator), COMMA_SEPARATED)


def file_says_little(file: Path) -> bool:
    """Whether the ending of a name stands for several formats."""
    return name_without_packing(file).endswith(_SAYS_LITTLE)


def _by_ending(file: Path) -> Format | None:
    name = name_without_packing(file)
    return next((form for form in EVENT_FORMATS if form.endings and name.endswith(form.endings)), None)


def _known(file: Path) -> str:
    endings = [ending for form in EVENT_FORMATS for ending in form.endings]
    packed = " or ".join(PACKINGS)
    return f"{suggest(Path(name_without_packing(file)).suffix, endings)}; those of text also with {packed} behind"

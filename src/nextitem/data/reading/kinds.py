"""The column of kinds of events: found by a usual name where somebody says what kinds mean, and told of where not."""

from collections.abc import Mapping

from nextitem.data.reading.columns import Columns, Found
from nextitem.data.reading.files import found_in
from nextitem.data.reading.names import clipped, listed, plain, usual
from nextitem.data.reading.sources import Events
from nextitem.errors import ConfigurationError, DataError


def with_kinds(
    given: Events, columns: Columns, kinds: Mapping[str, object], name: str, like: Columns | None = None
) -> Columns:
    """The columns with that of kinds, where kinds have a meaning and nobody names it; `name` is what events are called.

    Where a log was learnt from whose columns are `like`, it has that name or a usual one.

    Raises DataError for a file in which no column, or more than one, has a usual name for it; ConfigurationError for a
    column of kinds that mean nothing.
    """
    if not kinds and columns.kind is not None:
        raise ConfigurationError(
            f"columns.kind={columns.kind} names kinds of events, and nobody says what they mean; say it, such as "
            f"kinds.purchase=1 kinds.view=history kinds.others=ignored, or leave columns.kind out"
        )
    if not kinds or columns.kind is not None:
        return columns
    header = list(found_in(given, columns, like).header)
    known = "" if like is None or like.kind is None else plain(like.kind)
    if alike := [name for name in header if plain(name) == known]:
        return columns.model_copy(update={"kind": alike[0]})
    fitting = usual("kind", header)
    if len(fitting) == 1:
        return columns.model_copy(update={"kind": fitting[0]})
    fact = " and ".join(f"{clipped(name)!r}" for name in fitting) + " could be it" if fitting else "none is called so"
    raise DataError(
        f"{name}: kinds say what kinds of events mean, and it is not said which column has them: of {listed(header)} "
        f"{fact}; name it by columns.kind=NAME among the settings, or --columns kind=NAME"
    )


def unread_kinds(found: Found) -> tuple[str, ...]:
    """A note on columns that look like kinds of events and are not read."""
    taken = {found.header[place] for place in found.places.values()}
    fitting = [name for name in usual("kind", list(found.header)) if name not in taken]
    if not fitting:
        return ()
    names = " and ".join(repr(clipped(name)) for name in fitting)
    which = "holds" if len(fitting) == 1 else "hold"
    return (
        f"{names} {which} kinds of events, it seems, and all events count alike: say what kinds mean, such as "
        f"kinds.purchase=1 kinds.view=history, to have them told apart",
    )

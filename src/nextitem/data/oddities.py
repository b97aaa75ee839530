"""What is odd about a log and no error: times before 1990 and to come, ids that a reader takes for each other.

They are told of, never changed or merged.

Two ids look alike where they are equal once written as NFKC does (wide and narrow, ligatures, composed marks), without
what takes no space or is blank (the categories Cf, Zs and Cc of Unicode), without case, and with Cyrillic and Greek
letters that have the shape of a Latin one as that letter. '007' and '7' do not look alike.
"""

import unicodedata
from collections.abc import Iterator

import polars as pl

from nextitem.data.interactions import LIKELY_TIMES
from nextitem.data.log import Log
from nextitem.words import counted

_EXAMPLES = 3
_LATIN = str.maketrans(
    "аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅαινορυκΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijshdqwABEKMHOPCTYXIJSaivopukABEZHIKMNOPTYX",
)
_INVISIBLE = ("Cf", "Zs", "Cc")


def notes_on_log(log: Log, now: float) -> tuple[str, ...]:
    """What is odd about the ids of a log and about its times, at the unix time `now`, in words."""
    said = [*look_alikes("user", log.users.ids), *look_alikes("item", log.items.ids)]
    if log.sequences.has_times:
        early = late = 0
        for part in log.sequences.parts():
            times = part.times()
            # In full: beside a number with a fraction torch compares whole ones in single precision.
            early, late = early + int((times < LIKELY_TIMES[0]).sum()), late + int((times.double() > now).sum())
        said += [f"{counted(early, 'event lies', 'events lie')} before 1990: check the unit of times"] if early else []
        said += [f"{counted(late, 'event lies', 'events lie')} in the future: check the unit of times"] if late else []
    return tuple(said)


def look_alikes(role: str, ids: pl.Series) -> tuple[str, ...]:
    """A note on ids of a `role` that look alike, with how many there are and examples; none where no two do.

    >>> look_alikes("item", pl.Series(["Pen", "pen", "ink"]))
    ("2 item ids look like another one (case, blanks, invisible characters or alike letters): 'Pen' and 'pen'",)
    """
    if ids.dtype != pl.String:
        return ()
    table = pl.DataFrame({"id": ids, "shape": _shapes(ids)}).filter(pl.col("shape").is_duplicated())
    if not table.height:
        return ()
    groups = table.group_by("shape", maintain_order=True).agg("id")["id"].head(_EXAMPLES).to_list()
    examples = ", ".join(" and ".join(ascii(one)[:60] for one in group[:_EXAMPLES]) for group in groups)
    what = counted(table.height, f"{role} id")
    return (f"{what} look like another one (case, blanks, invisible characters or alike letters): {examples}",)


def _shapes(ids: pl.Series) -> pl.Series:
    """What is left of each id for a reader. Of ASCII the library tells, since there are millions of ids."""
    is_ascii = ids.str.len_bytes() == ids.str.len_chars()
    plain = ids.str.to_lowercase().str.replace_all(r"[\x00-\x20\x7f]", "")
    if bool(is_ascii.all()):
        return plain
    return plain.scatter((~is_ascii).arg_true(), pl.Series(list(_seen(ids.filter(~is_ascii))), dtype=pl.String))


def _seen(ids: pl.Series) -> Iterator[str]:
    for one in ids:
        letters = unicodedata.normalize("NFKC", one).translate(_LATIN)
        yield "".join(letter for letter in letters if unicodedata.category(letter) not in _INVISIBLE).lower()

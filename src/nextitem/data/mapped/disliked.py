"""What users said no to, in a prepared folder: three columns, which are held in memory. D dislikes, U users."""

from pathlib import Path

from nextitem.data.dislikes import Dislikes
from nextitem.data.mapped.arrays import numbers
from nextitem.storage import write_array

ITEMS, OFFSETS, PLACES = FILES = ("disliked.npy", "disliked_offsets.npy", "disliked_places.npy")


def write_dislikes(draft: Path, dislikes: Dislikes | None) -> None:
    """Write the columns, where there is anything in them."""
    if dislikes is not None and dislikes.places_D is not None:
        columns = (dislikes.items_D, dislikes.offsets, dislikes.places_D)
        for name, column in zip(FILES, columns, strict=True):
            write_array(draft / name, column.numpy())


def read_dislikes(file: Path, count: int, users: int, items: int, events: int) -> Dislikes:
    """So many dislikes, of which `file` holds the items. Raises ValueError for what they cannot be, and OSError."""
    items_D, places_D = (numbers(file.with_name(name), "<i8", count) for name in (ITEMS, PLACES))
    offsets = numbers(file.with_name(OFFSETS), "<i8", users + 1)
    if not 0 <= int(items_D.min()) <= int(items_D.max()) < items:
        raise ValueError(f"it should hold some of {items:,} items")
    if (int(offsets[0]), int(offsets[-1])) != (0, count) or bool((offsets[1:] < offsets[:-1]).any()):
        raise ValueError(f"{OFFSETS} should ascend from 0 to {count:,}")
    if not 0 <= int(places_D[0]) <= int(places_D[-1]) <= events or bool((places_D[1:] < places_D[:-1]).any()):
        raise ValueError(f"{PLACES} should ascend, up to {events:,}")
    return Dislikes(items_D, offsets, places_D)

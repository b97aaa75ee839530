"""Items found by what they are called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nextitem.serving.ids import RawId


@dataclass(frozen=True)
class Found:
    """An item that was found."""

    item: RawId
    title: str | None


class Titles:
    """The items of a catalogue by title and id, to be searched."""

    def __init__(self, items: Sequence[RawId], titles: Mapping[object, str], counts: Sequence[float]) -> None:
        """`counts` of events say which of several that fit comes first."""
        order = sorted(range(len(items)), key=lambda place: -counts[place])
        self._found = [Found(items[place], titles.get(items[place])) for place in order]
        self._words = [f" {one.title or ''} {one.item} ".lower() for one in self._found]

    def search(self, text: str, limit: int = 20) -> list[Found]:
        """The items whose title or id has all words of the text: those that begin with them first, then the popular."""
        wanted = text.lower().split()
        if not wanted:
            return self._found[:limit]
        fitting = [n for n, words in enumerate(self._words) if all(word in words for word in wanted)]
        fitting.sort(key=lambda n: sum(f" {word}" not in self._words[n] for word in wanted))  # stable: popular first
        return [self._found[n] for n in fitting[:limit]]

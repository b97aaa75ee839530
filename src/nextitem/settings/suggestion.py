"""Which known word an unknown one may stand for."""

import difflib
from collections.abc import Iterable


def suggest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known ones, if any is near, then all of them.

    >>> suggest("bce", ["cross_entropy", "binary_cross_entropy"])
    "did you mean 'binary_cross_entropy'? Known: cross_entropy, binary_cross_entropy"
    """
    wanted, names = _spelling(word), list(known)
    nearness = {name: _nearness(wanted, _spelling(name)) for name in names}
    best = max(nearness.values(), default=0.0)
    enough = 0.6 if best < 3 else 3  # nothing beside a name that differs by case and hyphens alone
    near = sorted((name for name in names if nearness[name] >= enough), key=lambda name: -nearness[name])[:3]
    everything = ", ".join(names) or "none at all"
    if not near:
        return f"known: {everything}"
    return f"did you mean {' or '.join(map(repr, near))}? Known: {everything}"


def _spelling(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")


def _nearness(word: str, name: str) -> float:
    """3 for the same spelling, 2 for its initials (`bce`) or without underscores, 1 for a part of it, else below 1."""
    if word == name:
        return 3
    if len(word) >= 2 and word in ("".join(part[:1] for part in name.split("_")), name.replace("_", "")):
        return 2
    return 1 if len(word) >= 3 and word in name else difflib.SequenceMatcher(None, word, name).ratio()

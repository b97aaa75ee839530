"""Dotted keys of settings, and the short ones: `encoder.dim`, where the whole key is `model.encoder.dim`."""

from collections.abc import Iterator

from nextitem.settings.configuration import Configuration
from nextitem.settings.written import joined


def leaves(tree: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a tree that is not itself a table with entries, with its dotted key."""
    if isinstance(tree, dict) and tree:
        for word, value in tree.items():
            yield from leaves(value, joined(key, word))
    else:
        yield key, tree


def settings_of(configuration: Configuration) -> dict[str, object]:
    """Every setting by the key that users write, its value as JSON has it."""
    tree = configuration.model_dump(mode="json")
    return {short_key(type(configuration), key): value for key, value in leaves(tree)}


def short_key(model: type[Configuration], key: str) -> str:
    """The key as users write it: without the table that its second word says by itself."""
    table, _, rest = key.partition(".")
    return rest if rest and model.short_keys.get(rest.partition(".")[0]) == table else key


def whole_key(model: type[Configuration], words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a key with the table that was left out."""
    table = model.short_keys.get(words[0])
    return words if table is None else (table, *words)


def meant_key(model: type[Configuration], words: tuple[str, ...], value: object) -> tuple[str, ...]:
    """The words of the whole key that is meant, which may depend on whether the value is a path."""
    of_path = model.path_keys.get(".".join(words))
    return tuple(of_path.split(".")) if of_path is not None and is_path(value) else whole_key(model, words)


def is_path(value: object) -> bool:
    """Whether a value reads like the path of a file: it has a separator of folders, or an ending.

    >>> is_path("movies.csv"), is_path("~/movies"), is_path("tied")
    (True, True, False)
    """
    return isinstance(value, str) and any(mark in value for mark in "./\\")


def is_within(key: str, other: str) -> bool:
    """Whether `key` is `other` or something inside it."""
    return not other or key == other or key.startswith((f"{other}.", f"{other}["))

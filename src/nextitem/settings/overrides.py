"""Trees of settings and `key=value` overrides, laid on each other and validated as one configuration.

The value of an override is read as TOML. What is not TOML is text, unless it begins with a quote or a bracket; a field
that takes text gets it as it was typed (`name=007`), a quoted one without its quotes. All overrides form one tree:
their order does not matter, and a key cannot have two values. `none` or `null` is None where the field admits it; the
word itself is quoted on the command line (in a file, a field that also takes text keeps the word).

Layers are merged table by table; anything else, lists included, is replaced whole. Where a field chooses between
configurations its name alone will do (`loss=gbce`), and another name than before starts from that choice's defaults.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from nextitem.errors import ConfigurationError
from nextitem.settings.annotations import admits_none, admits_text, choices, table_values, takes_lists, with_nothing
from nextitem.settings.configuration import Configuration, default_tree
from nextitem.settings.keys import is_within, leaves, meant_key, short_key, whole_key
from nextitem.settings.refusals import Refusal, refusals, shown
from nextitem.settings.suggestion import suggest
from nextitem.settings.written import as_json, joined, one_value

COMMAND_LINE = "command line"
DEFAULT = "default"
M = TypeVar("M", bound=Configuration)
Tree = dict[str, object]
Models = Mapping[str, type[BaseModel]]
_WORD = r"""[A-Za-z0-9_-]+|"[^"\\=]+\""""
_KEY = re.compile(rf"(?:{_WORD})(?:\.(?:{_WORD}))*")


@dataclass(frozen=True)
class Resolved(Generic[M]):
    """A validated configuration, and who said what in it."""

    value: M
    sources: dict[str, str]
    """For every key of `settings_of`: the label of the layer that gave its value, or "default"."""


def parse_override(text: str) -> tuple[tuple[str, ...], object]:
    """Key and value of one override such as `negatives.count=3000`. Raises ConfigurationError.

    >>> parse_override("negatives.count=3000"), parse_override("loss=gbce")
    ((('negatives', 'count'), 3000), (('loss',), 'gbce'))
    """
    key, equals, typed = text.partition("=")
    if not equals or not _KEY.fullmatch(key):
        example = f"data={text}" if not equals and set("./") & set(text) else "negatives.count=3000"
        raise ConfigurationError(f"{text!r} is not an override: write key=value, such as {example}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigurationError(f"the override {text!r} is not valid UTF-8: type it anew")
    try:
        value = one_value(typed)
    except ValueError as error:
        if typed.lstrip().startswith(('"', "'", "[", "{")):
            fact = str(error).partition(" (at ")[0]
            advice = "text in it needs quotes, and the shell needs quotes around the whole to keep them"
            raise ConfigurationError(f"{text!r} begins like TOML but is not ({fact}): {advice}") from None
        value = typed
    return tuple(word.strip('"') for word in re.findall(_WORD, key)), value


def resolve(
    model: type[M],
    layers: Sequence[tuple[str, Mapping[str, object]]],
    overrides: Sequence[str] = (),
    settle: Callable[[Tree, Mapping[str, str]], Tree] | None = None,
) -> Resolved[M]:
    """The configuration that `layers` (label and tree, the later ones win) and then `overrides` describe.

    `settle` may change the complete merged tree before it is validated, in the light of who said what (dotted key to
    label): a loss chosen on the command line can so drop the negatives of a recipe. Raises ConfigurationError with
    every problem that was found.
    """
    draft = _Draft(model, default_tree(model))
    for label, tree in layers:
        root = _Node()
        for word, said in tree.items():
            root.at(meant_key(model, (word,), said)).plant(_Said(said), word)
        draft.lay(label, root)
    draft.lay(COMMAND_LINE, draft.read(overrides))
    if settle is not None and not draft.problems:
        draft.settle(settle)
    try:
        value = model.model_validate_json(as_json(draft.tree))
    except ValidationError as error:
        draft.refuse(refusals(model, error))
    if draft.problems:
        raise ConfigurationError(draft.report())
    keys = [key for key, _ in leaves(value.model_dump(mode="json"))]
    return Resolved(value, {short_key(model, key): draft.source(key) for key in keys})


@dataclass(frozen=True)
class _Said:
    """A value, and how it was typed if that was on the command line."""

    value: object
    typed: str | None = None

    def means_none(self, annotation: Any) -> bool:
        """Whether this is None, or the word for it, to a field that admits None."""
        if not admits_none(annotation) or self.value in [*choices(annotation)]:
            return False
        is_word = not admits_text(annotation) if self.typed is None else self.typed == self.value
        return self.value is None or (is_word and self.value in ("none", "null"))

    def as_field(self, annotation: Any) -> object:
        """The value for a field of this type: as it was typed where only that is accepted."""
        if isinstance(self.value, list) and takes_lists(annotation):
            return with_nothing(annotation, self.value)
        if self.typed is None or isinstance(self.value, str) or not admits_text(annotation):
            return self.value
        try:
            TypeAdapter(annotation).validate_json(as_json(self.value), strict=True)
        except ValidationError:
            return self.typed
        return self.value


@dataclass
class _Node:
    """What one layer says about a key: its value, the keys below it, or both (`loss=gbce loss.t=0.5`)."""

    said: _Said | None = None
    below: dict[str, "_Node"] = field(default_factory=dict)

    def at(self, words: Sequence[str]) -> "_Node":
        """The node of a key below this one."""
        node = self
        for word in words:
            node = node.below.setdefault(word, _Node())
        return node

    def plant(self, said: _Said, key: str) -> None:
        """Write a value here, a table's values below. Raises ConfigurationError where there is another value."""
        if isinstance(said.value, dict):
            for word, value in said.value.items():
                self.below.setdefault(word, _Node()).plant(_Said(value), joined(key, word))
        elif self.said is not None and repr(self.said.value) != repr(said.value):
            both = f"{shown(self.said.value)} and {shown(said.value)}"
            raise ConfigurationError(f"{key} is given two values, {both}: keep one")
        else:
            self.said = said


@dataclass
class _Draft:
    """The merged tree in the making, who said what in it, and what is wrong with which key.

    Keys are dotted and whole here; messages say the short ones.
    """

    model: type[Configuration]
    tree: Tree
    sources: dict[str, str] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    label: str = DEFAULT

    def read(self, overrides: Sequence[str]) -> _Node:
        """What the overrides say, as one tree."""
        root = _Node()
        for text in overrides:
            try:
                words, value = parse_override(text)
                node = root.at(meant_key(self.model, words, value))
                node.plant(_Said(value, text.partition("=")[2]), ".".join(words))
            except ConfigurationError as error:
                typed = (text.partition("=")[0] or text).split(".")
                self.problems.append((".".join(whole_key(self.model, tuple(typed))), str(error)))
        return root

    def lay(self, label: str, node: _Node) -> None:
        """Merge what one layer says onto the tree."""
        self.label = label
        self.tree = self.table({"": self.model}, "", self.tree, node, "")

    def table(self, models: Models, name: str, tree: Tree, node: _Node, key: str) -> Tree:
        """`tree`, the settings of the model of that name, with what `node` says. What is wrong becomes a problem."""
        merged, fields = dict(tree), models[name].model_fields
        for word, below in node.below.items():
            inner = joined(key, word)
            try:
                if word not in fields:
                    known = [*fields, *self.short_words(key, tree)]
                    advice = self.elsewhere(models, name, word, key) + suggest(word, known)
                    raise ConfigurationError(f"{self.place(inner)}: no such key; {advice}")
                merged[word] = self.setting(fields[word].annotation, tree.get(word), below, inner)
            except ConfigurationError as error:
                self.problems.append((inner, str(error)))
        return merged

    def setting(self, annotation: Any, tree: object, node: _Node, key: str) -> object:
        """`tree`, the value of a field of this type, with what `node` says. Raises ConfigurationError."""
        said, models, values = node.said, choices(annotation), table_values(annotation)
        old: Tree = tree if isinstance(tree, dict) else {}
        if said is not None and said.means_none(annotation):
            said = _Said(None)
        elif models and (said is None or said.value in [*models] or not admits_text(annotation)):
            return self.choice(models, old, node, key)
        elif said is None and values is not None:
            self.sources[key] = self.label
            return old | {w: self.setting(values, old.get(w), below, joined(key, w)) for w, below in node.below.items()}
        if said is None or node.below:
            given = ", ".join(node.below) or "an empty table"
            raise ConfigurationError(f"{self.place(key)} takes one value and no keys below it; given: {given}")
        self.forget(key)
        self.sources[key] = self.label
        return said.as_field(annotation)

    def choice(self, models: Models, tree: Tree, node: _Node, key: str) -> Tree:
        """`tree`, the settings of one of `models`, with what `node` says; another name starts from its own defaults."""
        if "" in models:
            if node.said is not None:
                keys = ", ".join(models[""].model_fields)
                raise ConfigurationError(f"{self.place(key, node.said)} should be a table; its keys: {keys}")
            return self.table(models, "", tree or default_tree(models[""]), node, key)
        if node.said is not None:
            node.below.setdefault("name", _Node()).plant(node.said, joined(key, "name"))
        known, said = [*models], node.below.get("name", _Node()).said
        if said is not None and said.value not in known:
            path = ", or the path of a file, as movies.csv or ./movies" if self.takes_path(key) else ""
            known_too = f"{suggest(str(said.value), models)}{path}"
            raise ConfigurationError(f"{self.place(key, said)}: no such choice; {known_too}")
        name = said.value if said is not None else tree.get("name", known[0] if len(known) == 1 else None)
        if name is None:
            named = f"{short_key(self.model, key)}.name"
            raise ConfigurationError(f"{self.place(key)} needs {named} to say which; {suggest('', models)}")
        if tree.get("name") != name:
            self.forget(key)
            tree = default_tree(models[str(name)]) | {"name": name}
        return self.table(models, str(name), tree, node, key)

    def elsewhere(self, models: Models, chosen: str, word: str, key: str) -> str:
        """Where a word that is no key of the chosen model may belong: another word, another choice, another table."""
        here, own = short_key(self.model, key), models[chosen]
        if issubclass(own, Configuration) and own.also_called.get(word) in own.model_fields:
            return f"it is called {joined(here, own.also_called[word])} here; "
        holders = [f"{here}={name}" for name, model in models.items() if word in model.model_fields]
        if holders:
            return f"it belongs to {' and '.join(holders)}, not to {here}={chosen}; "
        if difflib.get_close_matches(word, own.model_fields, n=1, cutoff=0.8):
            return ""
        known = [(leaf.rpartition("."), leaf) for leaf, _ in leaves(self.tree)]
        near = difflib.get_close_matches(word, [last for (_, _, last), _ in known], n=1, cutoff=0.8)
        places = [short_key(self.model, leaf) for (table, _, last), leaf in known if last in near and table != key]
        return f"perhaps you mean {' or '.join(places)}; " if places else ""

    def short_words(self, key: str, tree: Tree) -> list[str]:
        """What may be said in the table at `key` beside its fields: at the top, what a table in it has."""
        tables = {} if key else self.model.short_keys
        return [word for word, table in tables.items() if isinstance(inner := tree.get(table), dict) and word in inner]

    def takes_path(self, key: str) -> bool:
        """Whether a path is taken at a key, for another one."""
        return short_key(self.model, key.removesuffix(".name")) in self.model.path_keys

    def settle(self, change: Callable[[Tree, Mapping[str, str]], Tree]) -> None:
        """Let `change` have its way with the tree; what it changes was said by nobody."""
        before = dict(leaves(self.tree))
        self.tree = change(self.tree, {short_key(self.model, key): label for key, label in self.sources.items()})
        after = dict(leaves(self.tree))
        self.sources = {key: label for key, label in self.sources.items() if before.get(key) == after.get(key)}

    def refuse(self, refused: Sequence[Refusal]) -> None:
        """Make problems of what the model does not accept, except at keys that have one, and above and below them."""
        wrong = [key for key, _ in self.problems]
        for one in refused:
            if not any(is_within(one.key, key) or is_within(key, one.key) for key in wrong):
                self.problems.append((one.key, self.as_written(one).text(self.source(one.key))))

    def as_written(self, one: Refusal) -> Refusal:
        """The refusal by the key that users write; what is wrong with several short keys together is said of none."""
        if one.key in self.model.short_keys.values() and isinstance(one.value, dict):
            return replace(one, key="", meaning="")
        return replace(one, key=short_key(self.model, one.key))

    def report(self) -> str:
        """All problems as one text."""
        texts = [text for _, text in self.problems]
        return texts[0] if len(texts) == 1 else "\n- ".join([f"{len(texts)} settings cannot be used:", *texts])

    def source(self, key: str) -> str:
        """Who gave the value at a key or, for an element of a list, the list."""
        return self.sources.get(key.partition("[")[0], DEFAULT)

    def forget(self, key: str) -> None:
        """Drop the sources of a key and of everything below it."""
        self.sources = {other: label for other, label in self.sources.items() if not is_within(other, key)}

    def place(self, key: str, said: _Said | None = None) -> str:
        """The beginning of a message: the key, its value if there is one, and who said so."""
        typed = short_key(self.model, key)
        return f"{typed} = {shown(said.value)} ({self.label})" if said else f"{typed} ({self.label})"

"""The generated parts of docs/reference.md, and the options of all verbs: written anew, or compared with the code.

    python tools/reference.py            writes them
    python tools/reference.py --check    exits with 1 and names the parts that differ

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; all else on the page is kept by hand. What is in a
part comes from the package itself: settings from the fields of the configurations and the strings under them, values
of recipes and their sources from the recipes' files, options from the verbs. To change a part, change those. The
options are written into src/nextitem/cli/usage.json too, by which `nextitem VERB --help` knows them without the verb.
"""

import argparse
import inspect
import json
import re
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic.fields import FieldInfo

from nextitem import errors
from nextitem.cli.app import VERBS, verb
from nextitem.cli.usage import USAGE, written
from nextitem.compute.endings import ENDING, Ended
from nextitem.compute.interrupts import INTERRUPTED
from nextitem.compute.streams import READER_GONE
from nextitem.data.datasets import DATASETS
from nextitem.experiment.presets import Preset, load_preset, preset_names, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.settings.annotations import members, model_names
from nextitem.settings.configuration import Configuration
from nextitem.settings.keys import leaves, settings_of
from nextitem.settings.meanings import meanings
from nextitem.studies.study import StudyRequest, load_study, study_names

USAGES = Path(__file__).resolve().parent.parent / "src" / "nextitem" / "cli" / USAGE
PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
_PART = re.compile(r"(?<=<!-- generated: )([^\n]+?)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
_NOTHING = "–"


def main() -> None:
    """Exit with 0 when the page is what the code says, or has been made so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare and write nothing")
    parser.add_argument("--page", type=Path, default=PAGE, help="another page than docs/reference.md")
    asked = parser.parse_args()
    page = asked.page.read_text(encoding="utf-8")
    found = [name for name, _, _ in _PART.findall(page)]
    if sorted(found) != sorted(parts()):
        missing, unknown = sorted(parts().keys() - found), sorted(set(found) - parts().keys())
        twice = sorted({name for name in found if found.count(name) > 1})
        sys.exit(f"{asked.page}: parts without a place: {missing}; unknown: {unknown}; in two places: {twice}")
    differing = [name for name, _, content in _PART.findall(page) if content != parts()[name]()]
    if asked.check and differing:
        sys.exit(f"{asked.page} is not what the code says in {', '.join(differing)}; run python tools/reference.py")
    if differing:
        new = _PART.sub(lambda part: f"{part[1]}{part[2]}{parts()[part[1]]()}", page)
        asked.page.write_text(new, encoding="utf-8")
    usages = written({name: getattr(import_module(f"nextitem.cli.{name}"), name) for name in VERBS})
    if asked.check and USAGES.read_text(encoding="utf-8") != usages:
        sys.exit(f"{USAGES} is not what the verbs declare; run python tools/reference.py")
    if not asked.check:
        USAGES.write_text(usages, encoding="utf-8")
    print(f"{asked.page}: {len(differing)} of {len(found)} parts differed")


def parts() -> dict[str, Callable[[], str]]:
    """The parts by the name that their marks bear."""
    about_settings: dict[str, Callable[[], str]] = {
        f"settings of {key}": lambda key=key, field=field: _settings_of(key, field)  # type: ignore[misc]
        for key, field in (Recipe.model_fields | SequenceRecipe.model_fields).items()
        if any(_is_configuration(member) for member in members(field.annotation))
    }
    return {
        "recipes": _recipes,
        "profiles": _profiles,
        "published results": _published_results,
        "datasets": _datasets,
        "terms of datasets": _terms,
        "settings": lambda: settings_table(Recipe),
        **about_settings,
        "verbs": _verbs,
        "exit codes": _exit_codes,
        "studies": _studies,
    }


# What is said of settings


def _settings_of(key: str, field: FieldInfo) -> str:
    """A section for each configuration that the field may hold."""
    sections = []
    for model in members(field.annotation):
        if _is_configuration(model):
            names = model_names(model)
            heading = f"{key}={names[0]}" if names else key
            sections.append(f"### `{heading}`\n\n{inspect.getdoc(model)}\n\n{settings_table(model)}")
            # The parts of a sequence model are written without it, and have sections of their own.
            tables = {} if model is SequenceRecipe else _tables_in(model)
            sections += [_settings_of(f"{heading}.{word}", inner) for word, inner in tables.items()]
    return "\n".join(sections)


def _tables_in(model: type[Configuration]) -> dict[str, FieldInfo]:
    """The fields that are tables themselves."""
    # A model that is made of another one takes any of those that have sections of their own.
    fields = [(word, field) for word, field in model.model_fields.items() if word != "model"]
    return {word: field for word, field in fields if any(map(_is_configuration, members(field.annotation)))}


def settings_table(model: type[Configuration]) -> str:
    """Its fields: what each may hold, its default, and the string under it."""
    fields = {key: field for key, field in model.model_fields.items() if not (key == "name" and model_names(model))}
    if not fields:
        return "No settings.\n"
    rows = [
        (_code(key), _values(field), _default(field), meanings(model).get(key, "")) for key, field in fields.items()
    ]
    return _table(("setting", "values", "default", "meaning"), rows)


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "as said"  # it follows from other settings, and the string under the field says how
    if field.is_required():
        return "has to be said"
    value = field.default
    if isinstance(value, Configuration):
        names = model_names(type(value))
        return _code(names[0]) if names else "see below"
    return _code(_written(value))


def _values(field: FieldInfo) -> str:
    """What the field may hold, in words."""
    alternatives = [_kind(member, _limits(field)) for member in members(field.annotation)]
    return " or ".join(dict.fromkeys(alternatives))


def _kind(annotation: Any, limits: str) -> str:
    if annotation is NoneType:
        return "`none`"
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0], limits)
    if get_origin(annotation) is Literal:
        return " or ".join(_code(_written(value)) for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"a list of {_kind(get_args(annotation)[0], '').removeprefix('a ').replace('number', 'numbers')}"
    if _is_configuration(annotation):
        names = model_names(annotation)
        return _code(names[0]) if names else "a table"
    if get_origin(annotation) is dict:
        return "a table"
    words = {bool: "`true` or `false`", int: "a whole number", float: "a number", str: "text"}
    return f"{words[annotation]}{limits}"


def _limits(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{sign} {getattr(limit, name):g}" for limit in field.metadata for name, sign in signs.items()
              if hasattr(limit, name)]  # fmt: skip
    return f" {' and '.join(bounds)}" if bounds else ""


def _is_configuration(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Configuration)


# What the recipes say


@dataclass(frozen=True)
class _Named:
    """A recipe, with the other names that it has."""

    preset: Preset
    names: Sequence[str]

    @property
    def words(self) -> str:
        return ", ".join(map(_code, self.names))


def _named() -> list[_Named]:
    """The recipes of the package; the shortest name of one leads."""
    found: list[_Named] = []
    for preset in sorted(map(load_preset, preset_names()), key=lambda preset: (len(preset.name), preset.name)):
        for place, other in enumerate(found):
            if _said(preset) == _said(other.preset):
                found[place] = _Named(other.preset, (*other.names, preset.name))
                break
        else:
            found.append(_Named(preset, (preset.name,)))
    return sorted(found, key=lambda named: named.preset.name)


def _said(preset: Preset) -> object:
    settings = {key: value for key, value in preset.settings.items() if key != "name"}
    return settings, preset.sources, preset.profiles, preset.published


def _recipes() -> str:
    return "\n".join(_recipe(named) for named in _named())


def _recipe(named: _Named) -> str:
    preset = named.preset
    settings = settings_of(resolve_recipe(preset).value)
    sourced = {
        key: source
        for key in settings
        if (source := preset.source_of(key)) is not None and (key in preset.sources or not _says_nothing(key, settings))
    }
    rows = [
        (_typed(values), source)
        for (_, source), values in _together(
            ((key.partition(".")[0], source), key, settings[key]) for key, source in sourced.items()
        )
    ]
    heading = f"### {named.words}\n\n{preset.summary}. {preset.source}.\n\n"
    return heading + _table(("settings", "source"), rows)


def _says_nothing(key: str, settings: Mapping[str, object]) -> bool:
    """Whether a setting has no value, or is about what is off (`cosine` and `cosine_temperature`)."""
    off = tuple(
        part
        for switch, value in settings.items()
        if value == "off" and any(other.startswith(f"{switch}_") for other in settings)
        for part in (switch, f"{switch}_")
    )
    return settings[key] is None or key in off or key.startswith(tuple(part for part in off if part.endswith("_")))


def _profiles() -> str:
    rows = [
        (named.words, _code(dataset), _typed(values), source)
        for named in _named()
        for dataset, settings in named.preset.profiles.items()
        for source, values in _together(
            (named.preset.source_of(f"profiles.{dataset}.{key}") or "", key, value)
            for key, value in leaves(dict(settings))
        )
    ]
    return _table(("recipe", "dataset", "settings", "source"), rows)


Alike = TypeVar("Alike")


def _together(values: Iterable[tuple[Alike, str, object]]) -> Iterable[tuple[Alike, dict[str, object]]]:
    """Settings that have something in common, such as their source, where the first of them stands."""
    found: dict[Alike, dict[str, object]] = {}
    for alike, key, value in values:
        found.setdefault(alike, {})[key] = value
    return found.items()


def _typed(values: Mapping[str, object]) -> str:
    """Settings as they are typed."""
    return " ".join(_code(f"{key.removesuffix('.name')}={_written(value)}") for key, value in values.items())


def _published_results() -> str:
    metrics = {"hit_rate@10": ".4f", "ndcg@10": ".4f", "best_epoch": "d", "train_seconds": ",d"}
    rows = []
    for named in _named():
        for dataset, values in named.preset.published.items():
            numbers = [format(values[key], form) if key in values else _NOTHING for key, form in metrics.items()]
            source = named.preset.source_of(f"published.{dataset}") or ""
            rows.append((named.words, _code(dataset), *numbers, source))
    return _table(("recipe", "dataset", "HR@10", "NDCG@10", "best epoch", "training, s", "source"), rows)


# What else the package says of itself


def _datasets() -> str:
    rows = [
        (
            *(_code(name), f"{one.users:,}", f"{one.items:,}"),
            f"{one.events:,}" if one.events_rounded_to == 1 else f"{one.events / 1e6:g} M",
            *(_code(one.archive or one.file), "not stated" if one.size is None else f"{one.size:,}"),
            _code(one.git_blob),
        )
        for name, one in DATASETS.items()
    ]
    return _table(("dataset", "users", "items", "events", "file", "bytes", "git blob id"), rows)


def _terms() -> str:
    return _table(
        ("dataset", "what it is", "terms"), [(_code(n), one.source, one.terms) for n, one in DATASETS.items()]
    )


def _verbs() -> str:
    return "\n".join(_verb(name, verb(name)) for name in VERBS)


def _verb(name: str, verb: Any) -> str:
    arguments = [one for one in verb.params if one.param_type_name == "argument"]
    asked = " ".join(one.metavar or one.name.upper() for one in arguments)
    rows = [(_code(one.metavar or one.name.upper()), _NOTHING, one.help) for one in arguments]
    for option in verb.params[len(arguments) :]:
        names = " / ".join(map(_code, (*option.opts, *option.secondary_opts)))
        is_said = option.default is True or str(option.default) not in ("None", "", "False")
        default = option.opts[0] if option.default is True else option.default
        rows.append((names, _code(str(default)) if is_said else _NOTHING, option.help))
    heading = f"### `{' '.join(filter(None, ('nextitem', name, asked)))}`\n\n{inspect.cleandoc(verb.help)}\n"
    return f"{heading}\n{_table(('option', 'default', 'meaning'), rows)}" if rows else heading


def _exit_codes() -> str:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = [kind for kind in kinds if issubclass(kind, errors.NextitemError)]
    kinds.sort(key=lambda kind: kind.exit_code)
    rows = [("0", _NOTHING, "Success."), ("1", _NOTHING, "An internal error.")]
    rows += [(str(kind.exit_code), _code(kind.__name__), inspect.getdoc(kind) or "") for kind in kinds]
    signalled = {Ended(number).exit_code: f"Ended by {signal.Signals(number).name}." for number in ENDING}
    signalled |= {INTERRUPTED: "Interrupted.", READER_GONE: "Whoever read stdout by a pipe had gone, as `head` does."}
    rows += [(str(code), _NOTHING, signalled[code]) for code in sorted(signalled)]
    return _table(("code", "error", "meaning"), rows)


def _studies() -> str:
    rows = []
    for study in map(load_study, study_names()):
        labels = ", ".join(row.label for row in StudyRequest(study).rows)
        values = study.published.source if study.published else f"none: {study.source}"
        rows.append((*map(_code, (study.name, study.recipe, study.data, study.against)), labels, values))
    return _table(("study", "recipe", "data", "base row", "rows", "published values"), rows)


# Markdown


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    first, *others = (f"| {' | '.join(map(_cell, line))} |\n" for line in (head, *rows))
    return "".join((first, "|" + "---|" * len(head) + "\n", *others))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`"


def _written(value: object) -> str:
    """A value as it is typed behind a key."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    main()

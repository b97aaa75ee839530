"""What a study trains: its rows as recipes, also of another recipe than the one it was declared for.

Such a recipe keeps its own settings: of the study it gets what the rows vary and, for a first look, what makes it
short, as far as it has such keys. So it is with what is typed for all rows: it is laid on those that have it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from nextitem.engine.entries import Entry
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.found import deciding
from nextitem.experiment.presets import Preset, load_preset, overrides_of_each, preset_names, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.studies.keys import Keys, key_of
from nextitem.studies.study import StudyRequest, StudyRow


@dataclass(frozen=True)
class _Laid:
    """A row with its recipe, and which of its overrides that recipe has no key for."""

    row: StudyRow
    recipe: Recipe
    left_out: tuple[str, ...]


def entries(request: StudyRequest) -> list[Entry]:
    """What is trained, a row each.

    Raises ConfigurationError where a row's settings do not fit together, and where two rows would be one training.
    """
    found = _rows(request)
    for place, one in enumerate(found):
        for other in found[:place]:
            if deciding(one.recipe) == deciding(other.recipe):
                why = "".join(f" ({sentence})" for sentence in left_out(request))
                raise ConfigurationError(
                    f"study {request.study.name}: rows '{other.row.label}' and '{one.row.label}' would be the same "
                    f"training of {one.recipe.name}{why}; choose a recipe or settings for which they differ"
                )
    return [Entry(one.row.label, one.recipe) for one in found]


def left_out(request: StudyRequest) -> list[str]:
    """What of the rows does not exist in another recipe, in words."""
    rows: dict[tuple[str, str], list[str]] = {}
    for one in _rows(request):
        for text in one.left_out:
            rows.setdefault((one.recipe.name, text.partition("=")[0]), []).append(one.row.label)
    return [f"{recipe} has no {key}, left out of: {', '.join(labels)}" for (recipe, key), labels in rows.items()]


def published(request: StudyRequest, dataset: str) -> dict[str, float]:
    """Published values for a dataset, by row: of rows that are the model they were published for."""
    if not any(row.published for row in request.rows):
        return {}
    declared = _rows(replace(request, recipe=None, overrides=(), fast=False))
    return {
        one.row.label: one.row.published[dataset]
        for one, as_declared in zip(_rows(request), declared, strict=True)
        if dataset in one.row.published and _kind(one.recipe) == _kind(as_declared.recipe)
    }


def _kind(recipe: Recipe) -> tuple[str, ...]:
    """What a model is, whatever its sizes and however long it is trained."""
    return recipe.learner.parts


def _rows(request: StudyRequest) -> list[_Laid]:
    rows = [row for row in request.rows if row.label not in request.without]
    recipes = [row.recipe or request.recipe or request.study.recipe for row in rows]
    typed = overrides_of_each(recipes, request.overrides)
    lacked = _lacked(request, rows, typed) if request.overrides else [set[str]()] * len(rows)
    return [_laid(request, *one) for one in zip(rows, typed, lacked, strict=True)]


def _lacked(request: StudyRequest, rows: Sequence[StudyRow], typed: Sequence[Sequence[str]]) -> list[set[str]]:
    """For each row those of the typed settings that it has no key for and another row has."""
    every = list[set[str]]()
    for row, own in zip(rows, typed, strict=True):
        try:
            known = Keys.of(_laid(request, row, (), ()).recipe)
        except ConfigurationError:  # a row that is none without what is typed is to have all of it
            every.append(set())
        else:
            every.append({text for text in own if not known.has(text, own)})
    of_all = set[str].intersection(*every)
    return [lacked - of_all for lacked in every]


def _laid(request: StudyRequest, row: StudyRow, typed: Sequence[str], lacked: Collection[str]) -> _Laid:
    """A row's recipe, with what of the `typed` settings it does not lack.

    A later layer takes the place of an earlier one, where the command line may not say both.
    """
    study, typed = request.study, [text for text in typed if text not in lacked]
    preset = load_preset(row.recipe or request.recipe or study.recipe)
    common = () if row.recipe is not None else study.overrides
    fast = (study.fast if row.fast is None else row.fast) if request.fast else ()
    varied, missing = row.overrides, tuple[str, ...]()
    if row.recipe is None and request.recipe not in (None, study.recipe):
        common = ()
        known = _keys(preset, request.used_data, typed)
        fast = tuple(text for text in fast if known.has(text, fast))
        varied, missing = _of_another(request, row, known)
    layers = (study.events, common, fast, typed, varied)
    laid = {key_of(text): text for layer in layers for text in layer}
    try:
        chosen = resolve_recipe(preset, [f"data={request.used_data}", *laid.values()])
    except ConfigurationError as error:
        remedy = f"; --without '{row.label}' leaves the row out" if study.parts else ""
        raise ConfigurationError(
            f"row '{row.label}' of study {study.name}, recipe {preset.name}: {error}{remedy}"
        ) from error
    return _Laid(row, chosen.value, (*missing, *lacked))


def _keys(preset: Preset, data: str, overrides: Sequence[str] = ()) -> Keys:
    return Keys.of(resolve_recipe(preset, [f"data={data}", *overrides]).value)


def _of_another(request: StudyRequest, row: StudyRow, known: Keys) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The row's overrides that another recipe has keys for, and those that it has none for.

    Raises ConfigurationError where it has none for any of them.
    """
    kept, missing = list[str](), list[str]()
    for text in row.overrides:
        (kept if known.has(text, row.overrides) else missing).append(text)
    if missing and not kept:
        key = missing[0].partition("=")[0]
        presets = {name: _keys(load_preset(name), request.used_data) for name in preset_names()}
        able = [name for name, keys in presets.items() if keys.has(missing[0], ())]
        raise ConfigurationError(
            f"study {request.study.name} varies {key}, which recipe {request.recipe} does not have; "
            f"vary one that has: {', '.join(able)}"
        )
    return tuple(kept), tuple(missing)

"""docs/reference.md says what the code does: its tables are read and compared."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nextitem import errors
from nextitem.data.acquisition import load
from nextitem.data.datasets import PUBLISHED
from nextitem.data.filters import Preparation
from nextitem.data.prepare import prepare
from nextitem.data.reading.files import Columns
from nextitem.data.splits import AnySplit, LeaveOneOut
from nextitem.experiment.folder.provenance import provenance
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import metrics_of, write_run
from nextitem.experiment.presets import load_preset, preset_names, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.model.baselines import AnyBaseline, Popularity
from nextitem.model.encoders import AnyEncoder
from nextitem.model.losses import AnyLoss
from nextitem.model.negatives import AnyNegatives
from nextitem.model.objectives import AnyObjective, NextItem
from nextitem.report.run.page import report_into
from nextitem.settings.annotations import members
from nextitem.settings.configuration import Configuration
from nextitem.studies.study import load_study, study_names
from nextitem.training.fit import Training
from nextitem.training.history import Epoch

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "reference.md").read_text(encoding="utf-8")
NOT_IN_TABLES = (
    "name",
    "data",
    "columns",
    "preparation",
    "split",
)  # the same in every recipe: its name, and the defaults
SHELVES = {
    "encoder": AnyEncoder,
    "objective": AnyObjective,
    "loss": AnyLoss,
    "negatives": AnyNegatives,
    "baseline": AnyBaseline,
    "split": AnySplit,
}


def section(heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    level = heading.split()[0]
    found = re.findall(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"docs/reference.md has {len(found)} headings '{heading}'"
    return str(found[0])


def tables(text: str) -> list[list[list[str]]]:
    """The rows of each table of a text, without the backticks; heads are left out."""
    blocks = re.findall(r"^\|.*\|\n\|[-|]+\|\n((?:\|.*\|\n)*)", text, re.MULTILINE)
    return [
        [[cell.strip().strip("`") for cell in row[1:-1].split("|")] for row in block.splitlines()] for block in blocks
    ]


def leaves(tree: object, key: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(tree, dict):
        for word, value in tree.items():
            yield from leaves(value, f"{key}.{word}" if key else word)
    else:
        yield key, tree


def written(value: object) -> str:
    """A value as the page writes it."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def profiles() -> dict[tuple[str, str], dict[str, str]]:
    """(recipe, dataset) -> settings, as the page has them."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for recipe, dataset, setting, value, _ in tables(section("## Dataset profiles"))[0]:
        found.setdefault((recipe, dataset), {})[setting] = value
    return found


def settings_of(preset: str) -> dict[str, str]:
    """The sum of the tables whose heading names the preset."""
    found: dict[str, str] = {}
    for heading in re.findall(r"^### .*$", section("## Recipes"), re.MULTILINE):
        if preset in re.findall(r"`([\w@+-]+)`", heading):
            for key, value, source in tables(section(heading))[0]:
                assert key not in found, f"{preset} has two values of {key}"
                assert source, f"{preset} has no source for {key}"
                found[key] = value
    return found


@pytest.mark.parametrize("dataset", ["ml-1m", "ml-20m", "beauty", "steam", "synthetic"])
@pytest.mark.parametrize("preset", preset_names())
def test_the_tables_have_every_setting_of_a_preset(preset: str, dataset: str) -> None:
    recipe = resolve_recipe(load_preset(preset), [f"data={dataset}"]).value
    actual = {
        key: written(value)
        for key, value in leaves(recipe.model_dump(mode="json"))
        if key.split(".")[0] not in NOT_IN_TABLES
        and key.split(".")[0] in recipe.in_use()  # of the others it says that they are not used
    }
    assert settings_of(preset) | profiles().get((preset, dataset), {}) == actual


@pytest.mark.parametrize("preset", preset_names())
def test_what_a_preset_leaves_alone_has_its_default(preset: str) -> None:
    recipe = resolve_recipe(load_preset(preset)).value
    assert (recipe.preparation, recipe.columns, recipe.split) == (Preparation(), Columns(), LeaveOneOut())


def test_the_profiles_are_those_of_the_presets() -> None:
    actual = {
        (preset, dataset): {key: written(value) for key, value in leaves(dict(settings))}
        for preset in preset_names()
        for dataset, settings in load_preset(preset).profiles.items()
    }
    assert profiles() == actual


def test_the_published_results_are_those_of_the_presets() -> None:
    shown = {
        (recipe, dataset): {"hit_rate@10": float(hit_rate), "ndcg@10": float(ndcg)}
        | ({} if best == "–" else {"best_epoch": int(best)})  # not all of them are known
        | ({} if seconds == "–" else {"train_seconds": int(seconds.replace(",", ""))})
        for recipe, dataset, hit_rate, ndcg, best, seconds in tables(section("## Published results"))[0]
    }
    actual = {
        (preset, dataset): dict(values)
        for preset in preset_names()
        for dataset, values in load_preset(preset).published.items()
    }
    assert shown == actual


def test_the_datasets_are_those_of_the_package() -> None:
    described, about, _, elsewhere = tables(section("## Datasets"))
    shown = {row[0]: tuple(row[1:]) for row in described}
    actual = {
        name: (
            *(f"{d.users:,}", f"{d.items:,}"),
            f"{d.events:,}" if d.events_rounded_to == 1 else f"{d.events / 1e6:g} M",
            d.archive or d.file,
            "not stated" if d.size is None else f"{d.size:,}",
            d.git_blob,
        )
        for name, d in PUBLISHED.items()
    }
    assert shown == actual
    assert {name: terms for name, _, terms in about} == {name: d.terms for name, d in PUBLISHED.items()}
    assert all("FeiSun/BERT4Rec/615eaf2" in d.address for name, d in PUBLISHED.items() if name != "yelp")
    assert "antklen/sasrec-bert4rec-recsys23/29c272e" in PUBLISHED["yelp"].address
    assert not {blob for *_, blob in elsewhere} & {d.git_blob for d in PUBLISHED.values()}


@pytest.mark.parametrize("name", ["ml-1m", "beauty"])
def test_the_split_has_the_counts_that_are_stated(name: str, data_folder: Path) -> None:
    file = PUBLISHED[name].file
    if not any((data_folder / known).is_file() for known in (file, f"{file}.gz")):
        pytest.skip(f"{file} is not in the folder of data")
    assert load(PUBLISHED[name]).tied_events == 0  # there are no times
    recipe = resolve_recipe(load_preset("sasrec-ce"), [f"data={name}"]).value
    split = prepare(recipe).split
    assert isinstance(recipe.objective, NextItem)
    windows = recipe.objective.windows(split.train)
    positions = int(windows.lengths_U.sum()) - len(windows)
    unknown = 1 - float(split.test.trained_N[split.test.targets_C].double().mean())
    share = positions / (len(windows) * recipe.objective.maximum_length)
    counts = (len(split.test), int(split.test.trained_N.sum()), f"{unknown:.2%}", positions, f"{share:.1%}")
    shown = {row[0]: tuple(row[1:]) for row in tables(section("## Datasets"))[2]}[name]
    assert shown == tuple(f"{one:,}" if isinstance(one, int) else one.replace("%", " %") for one in counts)


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("### Top level", Recipe),
        ("### `preparation`", Preparation),
        ("### `columns`", Columns),
        ("### `training`", Training),
        *(
            (f"### `{shelf}={model.model_fields['name'].default}`", model)
            for shelf, union in SHELVES.items()
            for model in members(union)
        ),
    ],
)
def test_every_field_of_a_recipe_is_listed_with_its_default(heading: str, model: type[Configuration]) -> None:
    fields = {key: field.default for key, field in model.model_fields.items() if key != "name" or model is Recipe}
    shown = {row[0]: row[1] for table in tables(section(heading)) for row in table}
    assert shown == {key: default_as_written(value) for key, value in fields.items()}


def default_as_written(value: object) -> str:
    if isinstance(value, Configuration):
        return str(value.model_dump().get("name", "see below"))
    return written(value)


def test_the_exit_codes_are_those_of_the_errors() -> None:
    shown = {
        name: int(code)
        for code, names, _ in tables(section("## Exit codes"))[0]
        for name in re.findall(r"\w+Error", names)
    }
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert shown == {kind.__name__: kind.exit_code for kind in kinds if issubclass(kind, errors.NextitemError)}


def test_a_run_leaves_what_is_listed(tmp_path: Path) -> None:
    pl.DataFrame({"user": [1, 1, 1, 2, 2, 2], "item": [7, 8, 9, 8, 9, 7]}).write_csv(tmp_path / "events.csv")
    recipe = Recipe(data=str(tmp_path / "events.csv"), baseline=Popularity())
    outcome = run(recipe, seed=0)
    metrics = metrics_of(outcome, provenance(0, "cpu", datetime.now(UTC)))
    add = partial(report_into, scorer=outcome.model)
    folder = write_run(Workplace.of(tmp_path, recipe, 0), recipe, outcome, metrics, add=add)
    files, fields = tables(section("## What a run leaves"))
    assert {name for name, _ in files} == {file.name for file in folder.iterdir()}
    shown = {name.replace("`", ""): set(re.findall(r"`?(\w+)`?(?: \(.*?\))?", listed)) for name, listed in fields}
    for name in ("ranks.parquet", "items.parquet", "users.parquet"):
        assert set(pl.read_parquet(folder / name).columns) == shown[name]
    stored: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    assert set(stored) | {"test_upper_bound", "sampled"} == shown["metrics.json"]
    for part in ("certificate", "provenance"):
        assert set(stored[part]) == shown[f"metrics.json {part}"]
    assert {"intervals", "ceiling"} < set(stored["test"])
    assert set(Epoch.__dataclass_fields__) == shown["history.jsonl"]


def test_the_studies_are_those_that_come_along() -> None:
    actual = [
        [study.name, study.recipe, study.data, study.against, ", ".join(row.label for row in study.rows)]
        for study in map(load_study, study_names())
    ]
    assert [row[:5] for row in tables(section("## Studies"))[0]] == actual

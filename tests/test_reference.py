"""docs/reference.md says what the code does: most of it is written by a tool, and the rest is read and compared."""

import json
import re
import runpy
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
import pytest
from pydantic import Field

from nextitem.data.acquisition import load
from nextitem.data.datasets import DATASETS
from nextitem.data.filters import Filters
from nextitem.data.prepare import prepare
from nextitem.data.reading.columns import Columns
from nextitem.data.splits import LeaveOneOut
from nextitem.experiment.folder.metrics import metrics_of
from nextitem.experiment.folder.provenance import provenance
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.presets import load_preset, preset_names, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.model.baselines import Popularity
from nextitem.model.losses import BPR, GBCE
from nextitem.model.objectives import NextItem
from nextitem.report.run.page import report_into
from nextitem.settings.configuration import Configuration
from nextitem.training.history import Epoch
from nextitem.training.session import Session

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = (CHECKOUT / "docs" / "reference.md").read_text(encoding="utf-8")


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


@pytest.mark.parametrize("preset", preset_names())
def test_what_a_preset_leaves_alone_has_its_default(preset: str) -> None:
    recipe = resolve_recipe(load_preset(preset)).value
    assert (recipe.filters, recipe.columns, recipe.split) == (Filters(), Columns(), LeaveOneOut())


def test_datasets_come_from_the_commits_that_are_named() -> None:
    _, _, _, elsewhere = tables(section("## Datasets"))
    others = [d for name, d in DATASETS.items() if name not in ("yelp", "ml-100k")]
    assert all("FeiSun/BERT4Rec/615eaf2" in d.address for d in others)
    assert "antklen/sasrec-bert4rec-recsys23/29c272e" in DATASETS["yelp"].address
    assert "RUCAIBox/RecBole/6af995d" in DATASETS["ml-100k"].address
    assert not {blob for *_, blob in elsewhere} & {d.git_blob for d in DATASETS.values()}


@pytest.mark.parametrize("name", ["ml-1m", "beauty"])
def test_the_split_has_the_counts_that_are_stated(name: str, data_folder: Path) -> None:
    file = DATASETS[name].file
    if not any((data_folder / known).is_file() for known in (file, f"{file}.gz")):
        pytest.skip(f"{file} is not in the folder of data")
    assert load(DATASETS[name]).tied_events == 0  # there are no times
    recipe = resolve_recipe(load_preset("sasrec-ce"), [f"data={name}"]).value
    split = prepare(recipe).split
    assert isinstance(recipe.sequence.objective, NextItem)
    windows = recipe.sequence.objective.windows(split.train)
    positions = int(windows.lengths_U.sum()) - len(windows)
    unknown = 1 - float(split.test.is_trained_N[split.test.targets_C].double().mean())
    share = positions / (len(windows) * recipe.sequence.objective.maximum_length)
    counts = (len(split.test), int(split.test.is_trained_N.sum()), f"{unknown:.2%}", positions, f"{share:.1%}")
    shown = {row[0]: tuple(row[1:]) for row in tables(section("## Datasets"))[2]}[name]
    assert shown == tuple(f"{one:,}" if isinstance(one, int) else one.replace("%", " %") for one in counts)


def test_a_run_leaves_what_is_listed(tmp_path: Path) -> None:
    pl.DataFrame({"user": [1, 1, 1, 2, 2, 2], "item": [7, 8, 9, 8, 9, 7]}).write_csv(tmp_path / "events.csv")
    recipe = Recipe(data=str(tmp_path / "events.csv"), model=Popularity())
    outcome = run(recipe, Session(seed=0))
    metrics = metrics_of(outcome, provenance(outcome.prepared, Session(seed=0), datetime.now(UTC), outcome.recipe))
    add = partial(report_into, scorer=outcome.model)
    folder = write_run(Workplace.of(tmp_path, recipe, 0), recipe, outcome, metrics, add=add)
    files, fields = tables(section("## What a run leaves"))
    assert {name for name, _ in files} == {file.name for file in folder.iterdir()}
    shown = {name.replace("`", ""): set(re.findall(r"`?(\w+)`?(?: \(.*?\))?", listed)) for name, listed in fields}
    for name in ("ranks.parquet", "items.parquet", "users.parquet"):
        assert set(pl.read_parquet(folder / name).columns) == shown[name]
    stored: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    of_others = {"forgotten", "refit", "update", "made_of", "taught_by", "chosen_by"}
    of_others |= {"test_upper_bound", "sampled", "baselines", "verdict"}
    assert set(stored) | of_others == shown["metrics.json"]
    for part, at_times in (("certificate", {"averaged", "diversity", "kinds", "weights"}), ("provenance", {"kinds"})):
        assert set(stored[part]) | at_times == shown[f"metrics.json {part}"]
    assert {"intervals", "ceiling"} < set(stored["test"])
    assert set(Epoch.__dataclass_fields__) == shown["history.jsonl"]


# what tools/reference.py writes

Refusal = Callable[..., str | None]


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    """What tools/reference.py defines."""
    return runpy.run_path(str(CHECKOUT / "tools" / "reference.py"))


@pytest.fixture
def refusal(tool: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """Runs the tool; what it ends with, None where all is well."""

    def run(*arguments: object) -> str | None:
        monkeypatch.setattr(sys, "argv", ["reference.py", *map(str, arguments)])
        try:
            tool["main"]()
        except SystemExit as end:
            return str(end.code)
        return None

    return run


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A copy of the page, to be written over."""
    copy = tmp_path / "reference.md"
    copy.write_text(PAGE, encoding="utf-8")
    return copy


def test_the_generated_parts_are_what_the_code_says(refusal: Refusal) -> None:
    assert refusal("--check") is None


def test_a_part_that_was_edited_is_named_and_written_anew(
    page: Path, refusal: Refusal, capsys: pytest.CaptureFixture[str]
) -> None:
    row = "| 130 | – | Interrupted. |\n"
    assert PAGE.count(row) == 1
    page.write_text(PAGE.replace(row, row.replace("130", "131")), encoding="utf-8")
    told = f"{page} is not what the code says in exit codes; run python tools/reference.py"
    assert refusal("--check", "--page", page) == told
    assert refusal("--page", page) is None
    assert capsys.readouterr().out == f"{page}: 1 of {PAGE.count('<!-- end -->')} parts differed\n"
    assert page.read_text(encoding="utf-8") == PAGE


def test_every_part_has_one_place(page: Path, refusal: Refusal) -> None:
    mark = "<!-- generated: {} -->\n<!-- end -->\n"
    others = PAGE.replace("generated: studies -->", "generated: studio -->") + mark.format("settings")
    page.write_text(others, encoding="utf-8")
    told = f"{page}: parts without a place: ['studies']; unknown: ['studio']; in two places: ['settings']"
    assert refusal("--page", page) == told
    assert page.read_text(encoding="utf-8") == others


class Inner(Configuration):
    """Settings within settings."""


class Toy(Configuration):
    """One setting of each kind."""

    name: Literal["toy"] = "toy"
    share: float | None = Field(None, ge=0.0, lt=1.0)
    """Share of
    a | b."""
    sizes: tuple[int, ...] = (3, 2)
    """Sizes."""
    way: Literal["back", "forth"] = "back"
    """Way."""
    loss: Annotated[BPR | GBCE, Field(discriminator="name")] = BPR()
    """Loss."""
    inner: Inner = Inner()
    """Inner."""
    is_big: bool = False
    """Whether."""


def test_a_setting_is_written_as_it_may_be_typed(tool: dict[str, Any]) -> None:
    assert tool["settings_table"](Toy) == (
        "| setting | values | default | meaning |\n"
        "|---|---|---|---|\n"
        "| `share` | a number ≥ 0 and < 1 or `none` | `none` | Share of a \\| b. |\n"
        "| `sizes` | a list of whole numbers | `[3, 2]` | Sizes. |\n"
        "| `way` | `back` or `forth` | `back` | Way. |\n"
        "| `loss` | `bpr` or `gbce` | `bpr` | Loss. |\n"
        "| `inner` | a table | see below | Inner. |\n"
        "| `is_big` | `true` or `false` | `false` | Whether. |\n"
    )
    assert tool["settings_table"](Inner) == "No settings.\n"


def test_values_stand_beside_their_sources_and_options_beside_their_defaults() -> None:
    assert "| `encoder.dim=64` | K; S has 50 |" in section("### `sasrec-ce`, `sasrec@klenitskiy2023`")
    assert "| `sasrec-3000` | `synthetic` | `negatives.count=500` | ours: 3,000 exceed " in PAGE
    assert "| `--seed` | `0` | Seed of all models. |" in section("### `nextitem demo`")
    assert "| `--users` / `--no-users` | `--users` | " in PAGE


def test_every_source_begins_with_a_letter_that_the_page_explains() -> None:
    explained = set(re.findall(r"^- \*\*(\w+)\*\* – ", PAGE, re.MULTILINE)) | {"folklore", "Rendle"}
    sources = {source for name in preset_names() for source in load_preset(name).sources.values()}
    assert {re.split(r"\W", source)[0] for source in sources} <= explained

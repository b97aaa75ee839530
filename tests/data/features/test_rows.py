"""Rows of a table of items that cannot be used: refused, or left out, each with its reason and what stands there."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from nextitem.data.checkup.examination import examine
from nextitem.data.features.columns import Features, parse_item_columns
from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import Prepared, prepare
from nextitem.data.reading.rejected import REJECTED_ITEMS
from nextitem.errors import DataError
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import train
from nextitem.training.session import Session

LOG = "user,item,time\n" + "".join(
    f"{user},{item},{1_000_000_000 + 10 * day + place}\n"
    for day, user in enumerate(("ann", "bob"))
    for place, item in enumerate((7, 9, 11))
)
CSV = b"\n".join([
    b"item,title,year", b"7,Heat,1995", b"9,Ran,1985,x", b"9,Ran,soon", b'11,"Up,2009', b"11,Up,2009",
    b'11,"Up, ""again""",2009', b"", b",none,3", b"7,Heat,1995", b"13,B,19", b"b\xe9,x,1", b"9\n",
])  # fmt: skip
REASONS = [
    (3, "", "has too many fields", "9,Ran,1985,x"),
    (4, "year", "is no finite number", "9,Ran,soon"),
    (5, "", "has quotes that do not match", '11,"Up,2009'),
    (7, "", "says something else of its item than an earlier row", '11,"Up, ""again""",2009'),
    (9, "item", "is missing", ",none,3"),
    (12, "", "is not UTF-8", "b\\xe9,x,1"),
    (13, "", "has too few fields", "9"),
]
LINES = b'{"item": 7, "year": 1995}\n{"item"\n[1]\n{"item": 9, "item": 7}\n\xff\n{"item": 9, "year": "x"}\n'


def asked(folder: Path, content: bytes | str, name: str = "items.csv", columns: str = "numbers=year") -> Recipe:
    (folder / "log.csv").write_text(LOG)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    features = Features(file=str(folder / name), columns=parse_item_columns(columns))
    return Recipe(data=str(folder / "log.csv"), features=features)


def skipping(recipe: Recipe) -> Recipe:
    columns = recipe.features.columns.model_copy(update={"on_bad_rows": "skip"})
    return recipe.model_copy(update={"features": recipe.features.model_copy(update={"columns": columns})})


def rejected(prepared: Prepared) -> list[tuple[Any, ...]]:
    return prepared.rejected_items.table.select("row", "column", "reason", "content").rows()


def test_every_row_is_used_left_out_as_unknown_or_rejected_with_its_reason(tmp_path: Path) -> None:
    recipe = asked(tmp_path, CSV)
    with pytest.raises(DataError, match=r"items\.csv:12: the byte 0xe9 is not UTF-8"):
        prepare(recipe)
    prepared = prepare(skipping(recipe))
    assert rejected(prepared) == REASONS
    assert prepared.titles == {7: "Heat", 11: "Up"}
    told = [note for note in prepared.notes if note.startswith("items:")]
    assert told[1].startswith("items: 7 rows left out, since they cannot be used: ")
    assert (
        told[2]
        == "items: left out are 1 row of items that the log does not have ('13'), 1 row that repeats another one"
    )
    assert not prepared.rejected.reasons  # rows of events


@pytest.mark.parametrize("quote", [b"", b'"'], ids=["plain", "quoted"])
def test_a_byte_that_an_encoding_lacks_takes_its_line_away(tmp_path: Path, quote: bytes) -> None:
    name = quote + b"Caf\xe9" + quote
    recipe = asked(tmp_path, b"item,title\n7," + name + b"\n9,Caf\xe9\x81\n11,\x80\n", columns="title=title")
    recipe = recipe.model_copy(update={"features": recipe.features.model_copy(update={"encoding": "windows-1252"})})
    with pytest.raises(DataError, match=r"items\.csv:3: the byte 0x81 is not WINDOWS-1252"):
        prepare(recipe)
    prepared = prepare(skipping(recipe))
    assert rejected(prepared) == [(3, "", "is not WINDOWS-1252", "9,Café\\x81")]
    assert prepared.titles == {7: "Café", 11: "€"}


def test_rows_of_items_are_skipped_where_those_of_events_are_unless_it_is_said_of_them(tmp_path: Path) -> None:
    recipe = asked(tmp_path, CSV)
    events = recipe.model_copy(update={"columns": recipe.columns.model_copy(update={"on_bad_rows": "skip"})})
    assert rejected(prepare(events)) == REASONS
    strict = recipe.features.columns.model_copy(update={"on_bad_rows": "refuse"})
    with pytest.raises(DataError, match=r"items\.csv:12"):
        prepare(events.model_copy(update={"features": recipe.features.model_copy(update={"columns": strict})}))


def test_a_cell_that_is_missing_takes_no_row_away(tmp_path: Path) -> None:
    recipe = asked(tmp_path, "item,year\n7,soon\n9,1985\n", columns="numbers=year,unusable=missing,on_bad_rows=skip")
    prepared = prepare(recipe)
    assert prepared.features.table["year"].to_list() == [None, 1985, None]
    assert not len(prepared.rejected_items)


def test_a_row_that_is_bad_in_two_columns_is_left_out_once(tmp_path: Path) -> None:
    recipe = asked(tmp_path, "item,year,price\n7,a,b\n9,1,2\n", columns="numbers=year,numbers=price")
    assert rejected(prepare(skipping(recipe))) == [(2, "year", "is no finite number", "7,a,b")]


@pytest.mark.parametrize(
    ("name", "content", "columns", "expected"),
    [
        ("items.jsonl", LINES, "numbers=year", [
            (2, "", "is no JSON", '{"item"'),
            (3, "", "is no JSON object", "[1]"),
            (4, "", "has a key twice", '{"item": 9, "item": 7}'),
            (5, "", "is not UTF-8", "\\xff"),
            (6, "year", "is no finite number", '{"item": 9, "year": "x"}'),
        ]),
        ("items.json", '{"7": ["a"], "9": "b", "11": {"c": 1}}', "id=item", [
            (2, "", "holds no list of attributes", '{"9": "b"}'),
            (3, "", "holds no list of attributes", '{"11": {"c": 1}}'),
        ]),
        ("items.json", '{"7": {"year": 1}, "9": {"year": "x"}}', "numbers=year", [
            (2, "year", "is no finite number", '{"item": "9", "year": "x"}'),
        ]),
    ],
)  # fmt: skip
def test_json_too(name: str, content: bytes, columns: str, expected: list[Any], tmp_path: Path) -> None:
    recipe = asked(tmp_path, content, name, columns)
    with pytest.raises(DataError, match=name):
        prepare(recipe)
    assert rejected(prepare(skipping(recipe))) == expected


def test_a_key_that_a_line_has_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"items\.jsonl:1: the key 'year' stands there twice; keep one of them"):
        prepare(asked(tmp_path, '{"item": 7, "year": 1, "year": 2}\n', "items.jsonl"))


def test_rows_of_a_frame_go_by_their_number(tmp_path: Path) -> None:
    columns = parse_item_columns("numbers=year,on_bad_rows=skip")
    recipe = asked(tmp_path, "").model_copy(update={"features": Features(columns=columns)})
    frame = pl.DataFrame({"item": [7, 9, 9], "year": [1.0, float("inf"), 2.0]})
    prepared = prepare(recipe, items=frame)
    found = prepared.rejected_items.table.rows()
    assert found == [("items", 2, "year", "is no finite number", '{"item": 9, "year": Infinity}')]


def of_frame(tmp_path: Path, frame: Any, columns: str = "") -> Prepared:
    features = Features(columns=parse_item_columns(columns)) if columns else Features()
    return prepare(asked(tmp_path, "").model_copy(update={"features": features}), items=frame)


def test_columns_of_a_frame_with_values_of_several_kinds_are_read_as_of_json(tmp_path: Path) -> None:
    frame = pd.DataFrame({"item": ["7", 9], "title": ["Heat", 3], "rest": [{"a": 1}, "x"], "price": [1, 2.5]})
    prepared = of_frame(tmp_path, frame)
    assert prepared.titles == {7: "Heat", 9: "3"}
    assert prepared.features.table["price"].to_list() == [1.0, 2.5, None]
    with pytest.raises(DataError, match="column 'rest' holds Object, which is no text; convert it"):
        of_frame(tmp_path, frame, "texts=rest")


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame([["7", "a", "b"]], columns=["item", "title", "title"]), "'title' 2 times; rename the columns"),
        (pl.LazyFrame({"item": [7]}).with_columns(pl.col("year")), "items could not be computed: .*year"),
    ],
)
def test_a_frame_that_is_no_table_is_refused_in_our_words(frame: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        of_frame(tmp_path, frame)


def test_a_table_of_which_no_column_can_be_read_says_nothing_of_items(tmp_path: Path) -> None:
    prepared = of_frame(tmp_path, pl.DataFrame({"item": [7], "title": [datetime(2020, 1, 1)]}))
    assert prepared.features.table.columns == ["item"]
    assert any("which is no text: it is not read" in note for note in prepared.notes)


def test_a_table_in_which_no_row_can_be_used_is_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no row that can be used: 2 rows left out.*: has too few fields \(2\)"):
        prepare(skipping(asked(tmp_path, "item,year\n7\n9\n")))
    with pytest.raises(DataError, match=r"has no row that can be used: 1 row left out.*year is no finite number \(1\)"):
        prepare(skipping(asked(tmp_path, "item,year\n7,x\n")))


def test_a_folder_a_run_and_a_check_have_them(tmp_path: Path) -> None:
    recipe = skipping(asked(tmp_path, CSV))
    counts = {f"{column} {reason}".strip(): 1 for _, column, reason, _ in REASONS}
    found = examine(recipe).found
    assert found.as_dict()["rejected_items"] == counts
    overrides = [f"items={tmp_path / 'items.csv'}", "features.columns.numbers=year", "columns.on_bad_rows=skip"]
    manifest = prepare_into(tmp_path / "log", str(tmp_path / "log.csv"), overrides)
    assert manifest.rejected_items == counts
    assert pl.read_csv(tmp_path / "log" / REJECTED_ITEMS)["row"].to_list() == [row for row, *_ in REASONS]
    assert prepare(Recipe(data=str(tmp_path / "log"))).rejected_items.reasons == counts
    popular = load_recipe("popularity", f"data={recipe.data}", *overrides)
    run = train(popular, Session(seed=0), tmp_path / "runs")
    assert run.metrics.provenance.rejected_items == counts
    assert pl.read_csv(run.folder / REJECTED_ITEMS)["row"].to_list() == [row for row, *_ in REASONS]

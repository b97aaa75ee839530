"""`nextitem similar`: items that are like others."""

from dataclasses import asdict
from typing import Annotated

import polars as pl
import typer

from nextitem.cli.console import Sheet, say, show_json, show_table
from nextitem.cli.options import AsJson, RunToRead, ids_in, stored_run
from nextitem.experiment.folder.reading import LISTS
from nextitem.serving.explaining.similar import SimilarItem
from nextitem.serving.ids import RawId
from nextitem.serving.recommender import Recommender

_BY = {
    "vectors": "cosines of the vectors by which the model scores items",
    "histories": "cosines of the stored histories that hold both: the model counts and has no vectors of items",
}


def similar(
    run_folder: RunToRead,
    items: Annotated[list[str], typer.Argument(metavar="ITEM…", help="Raw ids of items.")],
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Similar items of each.")] = 10,
    candidates: Annotated[
        str | None, typer.Option(help="List these items alone: ids between commas, or a file of them.")
    ] = None,
    exclude: Annotated[
        str | None, typer.Option(help="Never list these items: ids between commas, or a file of them.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Conditions on columns of the items: genres=Comedy|Drama,price<20.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The k items that are most like each of some items."""
    narrowed = {
        option: None if text is None else ids_in(text, "item", f"--{option}").to_list()
        for option, text in (("candidates", candidates), ("exclude", exclude))
    }
    recommender = Recommender.from_run(stored_run(run_folder, LISTS))
    wanted = recommender.items.raw(recommender.items.index(pl.Series(items, dtype=pl.String))).to_list()
    lists = recommender.similar_items(
        wanted, k, candidates=narrowed["candidates"], exclude=narrowed["exclude"], where=where
    )
    if as_json:
        found = [
            {"item": item, "title": recommender.titles.get(item), "similar": [asdict(one) for one in ones]}
            for item, ones in zip(wanted, lists, strict=True)
        ]
        show_json({"k": k, "items": found})
        return
    by = next((one.by for ones in lists for one in ones), None)
    if by is not None:
        say(f"note: {_BY[by]}")
    for item, ones in zip(wanted, lists, strict=True):
        show_table(_sheet(recommender, item, ones))


def _sheet(recommender: Recommender, item: RawId, ones: list[SimilarItem]) -> Sheet:
    title = recommender.titles.get(item)
    sheet = Sheet(
        f"like {item}" if title is None else f"like {title} ({item})",
        ("rank", "item", "title", "cosine"),
        left=("item", "title"),
        prose=("title",),
    )
    for rank, one in enumerate(ones, 1):
        sheet.add(str(rank), str(one.item), one.title or "", f"{one.score:.3f}")
    return sheet

"""`nextitem recommend`: lists for users or histories."""

import csv
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from nextitem.cli.console import say, show_data, show_json
from nextitem.cli.options import AsJson, RunFolder, columns_of, stored_run
from nextitem.data.reading.files import Columns, read_interactions
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.reading import LISTS
from nextitem.serving.lists import as_table, check_format, write_table
from nextitem.serving.recommender import Recommender, Unknown
from nextitem.words import counted


def recommend(
    run_folder: RunFolder,
    users: Annotated[
        str | None, typer.Option(help="Comma-separated users of the run, or `all`; an id with a comma in quotes.")
    ] = None,
    histories: Annotated[
        Path | None, typer.Option(help="File of events, as data=… takes it, whose users' histories are answered.")
    ] = None,
    columns: Annotated[str, typer.Option(help="Columns of that file: user=visitor,item=sku,time=ts.")] = "",
    k: Annotated[int, typer.Option("--k", min=1, help="Recommendations per user.")] = 10,
    out: Annotated[Path | None, typer.Option(help="File to write: .csv, .jsonl or .parquet.")] = None,
    filter_seen: Annotated[bool, typer.Option(help="Leave out items of the history.")] = True,
    drop_unknown: Annotated[
        bool, typer.Option(help="Leave unknown items out of histories instead of failing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The k best next items for users of a run, or for histories in a file."""
    if (users is None) == (histories is None):
        raise ConfigurationError("give either --users (ids, or all) or --histories FILE")
    if out is not None:
        check_format(out)
    stored = stored_run(run_folder, LISTS)
    recommender = Recommender.from_run(stored)
    unknown: Unknown = "drop" if drop_unknown else "error"
    if histories is not None:
        ordered = read_interactions(histories, columns_of(columns) or Columns()).in_time_order()
        grouped = ordered.group_by("user", maintain_order=True).agg(pl.exclude("user"))
        owners, given = grouped["user"].to_list(), grouped["item"].to_list()
        times = grouped["time"].to_list() if "time" in grouped.columns else None
        lists = recommender.recommend(given, k, times=times, filter_seen=filter_seen, unknown=unknown)
    else:
        owners = recommender.known_users() if users == "all" else listed(str(users))
        lists = recommender.recommend(users=owners, k=k, filter_seen=filter_seen)
    titles = {item: title for item, _, title in stored.items.iter_rows() if title is not None}
    table = as_table(owners, lists, titles)
    if out is not None:
        write_table(table, out)
        say(f"{counted(len(table), 'recommendation')} for {counted(len(owners), 'user')} in {out}")
    if as_json:
        content = {"file": str(out)} if out is not None else {"recommendations": table.to_dicts()}
        show_json({"users": len(owners), "k": k, **content})
    elif out is None:
        show_data(table.write_csv())


def listed(users: str) -> list[str]:
    """Ids between commas; one with a comma, and a user called all, stand in quotes."""
    return [user.strip() for user in next(csv.reader([users], skipinitialspace=True), [])]

"""`nextitem recommend`: lists for users or histories."""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console

from nextitem.cli.console import Sheet, say, show_data, show_json, show_table
from nextitem.cli.options import (
    AsJson,
    Hide,
    OnBadRows,
    RunFolder,
    columns_of,
    ids_in,
    path_to,
    stored_run,
    write_rejected,
)
from nextitem.compute.waiting import told_if_slow
from nextitem.data.notes import left_out
from nextitem.data.reading.columns import USUAL, Columns
from nextitem.data.reading.files import found_in, places_of, read_interactions
from nextitem.data.reading.kinds import with_kinds
from nextitem.data.reading.rejected import RejectedRows
from nextitem.errors import ConfigurationError
from nextitem.evaluation.hiding import checked
from nextitem.experiment.folder.reading import LISTS, Run
from nextitem.serving.parts.served import Served, Terms, known_items, serve_histories, serve_users, write_users
from nextitem.serving.parts.tables import as_table, check_format, write_table
from nextitem.serving.parts.writing import check_out
from nextitem.serving.recommender import Recommender
from nextitem.storage import guarded
from nextitem.words import counted

_ALL = "all"
_FOR_EYES = 1_000  # recommendations in a table on a terminal; nobody looks at more, and other programs take csv


def recommend(
    run_folder: RunFolder,
    users: Annotated[
        str | None,
        typer.Option(help="Users of the run: ids between commas (with one in it: in quotes), a file of ids, or `all`."),
    ] = None,
    histories: Annotated[
        Path | None, path_to("File of new events, as data=… takes it, whose users are answered.")
    ] = None,
    columns: Annotated[str, typer.Option(help="Columns of that file: user=visitor,item=sku,time=ts.")] = "",
    on_bad_rows: OnBadRows = None,
    rejected: Annotated[Path | None, path_to("Csv to write rows of that file to that were skipped.")] = None,
    histories_only: Annotated[
        bool, typer.Option("--histories-only", help="Go by that file alone, not on from what the run has stored.")
    ] = False,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Recommendations per user.")] = 10,
    candidates: Annotated[
        str | None, typer.Option(help="Recommend these items alone: ids between commas, or a file of them.")
    ] = None,
    exclude: Annotated[
        str | None, typer.Option(help="Never recommend these items: ids between commas, or a file of them.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Conditions on columns of the items: genres=Comedy|Drama,price<20.")
    ] = None,
    diversity: Annotated[
        float, typer.Option(min=0, max=1, help="Weight of how items differ, beside how relevant they are.")
    ] = 0.0,
    limit: Annotated[
        str, typer.Option(help="Most items of each value of a column: genres=2, or several: a=2,b=1.")
    ] = "",
    out: Annotated[
        Path | None,
        path_to("File to write: .csv, .jsonl or .parquet; without an ending: a folder of parts."),
    ] = None,
    hide: Hide = None,
    drop_unknown: Annotated[
        bool,
        typer.Option("--drop-unknown/--refuse-unknown", help="Leave out unknown users and items and say so, or fail."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """The k best next items for users of a run, or for histories in a file."""
    if (users is None) == (histories is None):
        raise ConfigurationError("give either --users (ids, a file of them, or all) or --histories FILE")
    if histories is None and (columns or histories_only or on_bad_rows or rejected):
        raise ConfigurationError(
            "--columns, --histories-only, --on-bad-rows and --rejected are about --histories FILE; leave them out"
        )
    if out is not None:
        (check_out if histories is None and not (diversity or limit) else check_format)(out)
    if hide is not None:
        checked(hide)
    wanted = None if users is None or users == _ALL else ids_in(users, "user", "--users")
    listed_ids = {
        option: ids_in(text, "item", f"--{option}")
        for option, text in (("candidates", candidates), ("exclude", exclude))
        if text is not None
    }
    stored = stored_run(run_folder, LISTS)
    recommender = Recommender.from_run(stored)
    asked = Terms(k, None, hide, not drop_unknown, histories_only, diversity, limits_in(limit))
    terms, notes = _terms(recommender, listed_ids, where, asked)
    if histories is None and out is not None and terms.takes_the_best:
        _write(recommender, stored, wanted, terms, out, notes, as_json=as_json)
        return
    skipped = RejectedRows()
    with told_if_slow("recommending", say):
        if histories is None:
            served = serve_users(recommender, wanted, terms)
        else:
            served = _of_file(recommender, stored, histories, columns_of(columns, on_bad_rows) or USUAL, terms, skipped)
    served = replace(served, notes=(*notes, *served.notes))
    for note in served.notes:
        say(f"note: {note}")
    if rejected is not None:
        write_rejected(skipped, rejected)
    _show(served, recommender, k, out, skipped, as_json=as_json)


def _write(
    recommender: Recommender,
    stored: Run,
    users: pl.Series | None,
    terms: Terms,
    out: Path,
    notes: list[str],
    *,
    as_json: bool,
) -> None:
    """The lists of users in a file or a folder, of which memory holds a part at a time."""
    titles = pl.Series("title", recommender.known.item_titles, dtype=pl.String)
    began = time.monotonic()
    written, strangers, more = write_users(
        recommender,
        users,
        terms,
        out,
        made_by=stored.fingerprint,
        titles=None if titles.null_count() == len(titles) else titles,
        say=say,
    )
    for note in (*notes, *more):
        say(f"note: {note}")
    asked, answered = written.users + len(strangers), written.users - len(written.without)
    of = "" if answered == asked else f"{answered:,} of "
    pace = f"{(written.users - written.found) / max(time.monotonic() - began, 1e-3):,.0f} users a second"
    say(f"{counted(written.recommendations, 'recommendation')} for {of}{counted(asked, 'user')} in {out}; {pace}")
    if as_json:
        show_json(
            {
                "users": asked,
                "k": terms.k,
                "answered": answered,
                "unknown_users": list(strangers),
                "nothing_left_for": written.without,
                "by_popularity": written.by_popularity,
                "unknown_events": 0,
                "continued": 0,
                "notes": [*notes, *more],
                "rejected": {},
                "parts": len(written.parts),
                "parts_found": written.parts_found,
                "file": str(out),
            }
        )


def limits_in(text: str) -> dict[str, int]:
    """How many items of each value of a column a list may hold, as `--limit` says it. Raises ConfigurationError."""
    found = dict[str, int]()
    for part in filter(None, (one.strip() for one in text.split(","))):
        column, _, number = (one.strip() for one in part.rpartition("="))
        if not column or not number.isascii() or not number.isdigit():
            raise ConfigurationError(f"--limit {part!r} should be a column and a number, such as genres=2")
        found[column] = int(number)
    return found


def _terms(
    recommender: Recommender, ids: Mapping[str, pl.Series], where: str | None, terms: Terms
) -> tuple[Terms, list[str]]:
    """The terms with the items that may be recommended, and notes on ids that the run does not know."""
    known, notes = dict[str, pl.Series](), list[str]()
    for option, given in ids.items():
        known[option], more = known_items(given, f"--{option}", recommender, terms)
        notes += more
    allowed = recommender.allowed(known.get("candidates"), known.get("exclude"), where=where)
    if allowed is not None and not len(allowed):
        options = [*(["where"] if where is not None else []), *ids]
        leave = "leaves" if len(options) == 1 else "leave"
        raise ConfigurationError(f"{' and '.join(f'--{option}' for option in options)} {leave} no item to recommend")
    return replace(terms, allowed=allowed), notes


def _of_file(
    recommender: Recommender, stored: Run, file: Path, columns: Columns, terms: Terms, skipped: RejectedRows
) -> Served:
    places = cache(lambda: places_of(file, columns, learnt_from))  # for messages alone: they take another reading
    learnt_from = stored.metrics.provenance.columns or stored.recipe.columns
    columns = with_kinds(file, columns, recommender.kinds, str(file), learnt_from)
    say(f"note: {found_in(file, columns, learnt_from).note()}")
    events = read_interactions(file, columns, learnt_from, rejected=skipped)
    if len(skipped):
        say(f"note: {left_out(skipped.reasons)}")
    return serve_histories(
        recommender,
        events,
        terms,
        row_of=lambda event: _row(places(), event),
        is_for_known_users=stored.recipe.learner.has_users,
    )


def _row(places: pl.DataFrame, event: int) -> str:
    """The row of an event, with its file where there are several."""
    file, row = places.row(event)
    return f"{row}" if places["file"].n_unique() == 1 else f"{row} of {Path(file).name}"


def _show(
    served: Served, recommender: Recommender, k: int, out: Path | None, skipped: RejectedRows, *, as_json: bool
) -> None:
    known = recommender.known
    titles = {raw: title for raw, title in zip(known.raw_items, known.item_titles, strict=True) if title is not None}
    table = as_table(served.owners, served.lists, titles, known.items.ids.dtype)
    if out is not None:
        write_table(table, out)
        of = "" if served.answered == served.asked else f"{served.answered:,} of "
        say(f"{counted(len(table), 'recommendation')} for {of}{counted(served.asked, 'user')} in {out}")
    if as_json:
        show_json({**_as_dict(served, k), "rejected": dict(skipped.reasons), **_content(table, out)})
    elif out is None and Console().is_terminal and len(table) <= _FOR_EYES:
        show_table(_sheet(table))
    elif out is None:
        show_data(guarded(table).write_csv())


def _sheet(table: pl.DataFrame) -> Sheet:
    """The lists for eyes, a line between two users; titles stand beside ids where there are any."""
    last = [name for name in ("item", "title") if name in table.columns]
    names = ("user", "rank", *last, "score", "source")
    sheet = Sheet(counted(len(table), "recommendation"), names, left=("user", *last, "source"), prose=("title",))
    shown = table.with_columns(pl.col("score").round_sig_figs(4)).select(names)
    for row in shown.iter_rows():
        if row[1] == 1:
            sheet.section()
        sheet.add(*("" if value is None else str(value) for value in row))
    return sheet


def _content(table: pl.DataFrame, out: Path | None) -> dict[str, Any]:
    return {"file": str(out)} if out is not None else {"recommendations": table.to_dicts()}


def _as_dict(served: Served, k: int) -> dict[str, Any]:
    return {
        "users": served.asked,
        "k": k,
        "answered": served.answered,
        "unknown_users": list(served.unknown_users),
        "nothing_left_for": served.without_items,
        "by_popularity": served.by_popularity,
        "unknown_events": served.unknown_events,
        "continued": served.continued,
        "notes": list(served.notes),
    }

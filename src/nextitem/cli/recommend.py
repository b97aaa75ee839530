"""`nextitem recommend`: lists for users or histories."""

import time
from collections.abc import Mapping, Sequence
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
    Candidates,
    EngineName,
    Exclude,
    Hide,
    OnBadRows,
    RunToRead,
    Where,
    Workers,
    columns_of,
    ids_in,
    narrowing_ids,
    path_to,
    spread_of,
    stored_run,
    write_rejected,
)
from nextitem.compute.spread import HERE, Spread
from nextitem.compute.waiting import told_if_slow
from nextitem.data.notes import left_out
from nextitem.data.reading.columns import USUAL, Columns
from nextitem.data.reading.files import found_in, places_of, read_interactions
from nextitem.data.reading.kinds import with_kinds
from nextitem.data.reading.rejected import RejectedRows
from nextitem.errors import ConfigurationError
from nextitem.evaluation.hiding import checked
from nextitem.experiment.folder.reading import LISTS, Run
from nextitem.serving.parts.batch import Batch, Terms, batch_of_events, batch_of_users, known_items
from nextitem.serving.parts.served import Served, serve, write
from nextitem.serving.parts.tables import as_table
from nextitem.serving.parts.writing import Written, check_out
from nextitem.serving.recommender import Recommender
from nextitem.storage import guarded
from nextitem.words import counted

_ALL = "all"
_FOR_EYES = 1_000  # recommendations in a table on a terminal; nobody looks at more, and other programs take csv


_Users = Annotated[
    str | None,
    typer.Option(help="Users of the run: ids between commas (with one in it: in quotes), a file of ids, or `all`."),
]
_Histories = Annotated[Path | None, path_to("File of new events, as data=… takes it, whose users are answered.")]
_Columns = Annotated[str, typer.Option(help="Columns of that file: user=visitor,item=sku,time=ts.")]
_Rejected = Annotated[Path | None, path_to("Csv to write rows of that file to that were skipped.")]
_Alone = Annotated[
    bool, typer.Option("--histories-only", help="Go by that file alone, not on from what the run has stored.")
]
_K = Annotated[int, typer.Option("--k", "-k", min=1, help="Recommendations per user.")]
_Diversity = Annotated[
    float, typer.Option(min=0, max=1, help="Weight of how items differ, beside how relevant they are.")
]
_Limit = Annotated[str, typer.Option(help="Most items of each value of a column: genres=2, or several: a=2,b=1.")]
_Out = Annotated[Path | None, path_to("File to write: .csv, .jsonl or .parquet; without an ending: a folder of parts.")]
_DropUnknown = Annotated[
    bool,
    typer.Option("--drop-unknown/--refuse-unknown", help="Leave out unknown users and items and say so, or fail."),
]


def recommend(
    run_folder: RunToRead,
    users: _Users = None,
    histories: _Histories = None,
    columns: _Columns = "",
    on_bad_rows: OnBadRows = None,
    rejected: _Rejected = None,
    histories_only: _Alone = False,
    k: _K = 10,
    candidates: Candidates = None,
    exclude: Exclude = None,
    where: Where = None,
    diversity: _Diversity = 0.0,
    limit: _Limit = "",
    out: _Out = None,
    hide: Hide = None,
    drop_unknown: _DropUnknown = True,
    engine: EngineName = "local",
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """The k best next items for users of a run, or for histories in a file."""
    _check(users, histories, out, of_file=bool(columns or histories_only or on_bad_rows or rejected))
    spread = spread_of(engine, workers)
    if out is None and spread is not HERE:
        raise ConfigurationError("--engine ray makes the parts of files: give --out FILE or FOLDER")
    wanted = None if users is None or users == _ALL else ids_in(users, "user", "--users")
    named = narrowing_ids(candidates, exclude)
    asked = Terms(k, None, hide if hide is None else checked(hide), not drop_unknown, histories_only, diversity)
    stored = stored_run(run_folder, LISTS)
    recommender, skipped = Recommender.from_run(stored), RejectedRows()
    terms, notes = _terms(recommender, named, where, replace(asked, limits=limits_in(limit)))
    with told_if_slow("recommending", say):
        if histories is None:
            batch = batch_of_users(recommender, wanted, terms)
        else:
            batch = _of_file(recommender, stored, histories, columns_of(columns, on_bad_rows) or USUAL, terms, skipped)
        batch = replace(batch, notes=(*notes, *batch.notes))
        served = serve(recommender, batch, terms) if out is None else None
    if rejected is not None:
        write_rejected(rejected, skipped)
    if served is not None:
        _show(served, recommender, k, skipped, as_json=as_json)
    elif out is not None:
        _write(recommender, stored, batch, terms, (out, spread), skipped, as_json=as_json)


def _check(users: str | None, histories: Path | None, out: Path | None, *, of_file: bool) -> None:
    if (users is None) == (histories is None):
        raise ConfigurationError("give either --users (ids, a file of them, or all) or --histories FILE")
    if histories is None and of_file:
        raise ConfigurationError(
            "--columns, --histories-only, --on-bad-rows and --rejected are about --histories FILE; leave them out"
        )
    if out is not None:
        check_out(out)


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
) -> Batch:
    places = cache(lambda: places_of(file, columns, learnt_from))  # for messages alone: they take another reading
    learnt_from = stored.metrics.provenance.columns or stored.recipe.columns
    columns = with_kinds(file, columns, recommender.kinds, str(file), learnt_from)
    say(f"note: {found_in(file, columns, learnt_from).note()}")
    events = read_interactions(file, columns, learnt_from, rejected=skipped)
    if len(skipped):
        say(f"note: {left_out(skipped.reasons)}")
    return batch_of_events(
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


def _write(
    recommender: Recommender,
    stored: Run,
    batch: Batch,
    terms: Terms,
    to: tuple[Path, Spread],
    skipped: RejectedRows,
    *,
    as_json: bool,
) -> None:
    """The lists in a file or a folder, of which memory holds a part at a time, made by whatever makes them."""
    out, spread = to
    titles = pl.Series("title", recommender.known.item_titles, dtype=pl.String)
    has_titles = titles.null_count() < len(titles)
    began = time.monotonic()
    written, notes = write(
        recommender,
        batch,
        terms,
        out,
        made_by=stored.fingerprint,
        titles=titles if has_titles else None,
        say=say,
        spread=spread,
    )
    _say(notes)
    asked, answered = written.users + len(batch.strangers), written.users - len(written.without)
    of = "" if answered == asked else f"{answered:,} of "
    pace = f"{(written.users - written.found) / max(time.monotonic() - began, 1e-3):,.0f} users a second"
    say(f"{counted(written.recommendations, 'recommendation')} for {of}{counted(asked, 'user')} in {out}; {pace}")
    if as_json:
        told = _told(batch, written, notes)
        parts = {"parts": len(written.parts), "parts_found": written.parts_found, "file": str(out)}
        show_json({**told, "k": terms.k, "rejected": dict(skipped.reasons), **parts})


def _show(served: Served, recommender: Recommender, k: int, skipped: RejectedRows, *, as_json: bool) -> None:
    _say(served.notes)
    known = recommender.known
    titles = {raw: title for raw, title in zip(known.raw_items, known.item_titles, strict=True) if title is not None}
    table = as_table(served.batch.owners, served.lists, titles, known.items.ids.dtype)
    if as_json:
        told = _told(served.batch, served, served.notes)
        show_json({**told, "k": k, "rejected": dict(skipped.reasons), "recommendations": table.to_dicts()})
    elif Console().is_terminal and len(table) <= _FOR_EYES:
        show_table(_sheet(table))
    else:
        show_data(guarded(table).write_csv())


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        say(f"note: {note}")


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


def _told(batch: Batch, found: Served | Written, notes: Sequence[str]) -> dict[str, Any]:
    """What is known of the users beside their lists."""
    return {
        "users": len(batch.owners) + len(batch.strangers),
        "answered": len(batch.owners) - len(found.without),
        "unknown_users": list(batch.strangers),
        "nothing_left_for": list(found.without),
        "shorter": found.shorter,
        "by_popularity": found.by_popularity,
        "unknown_events": len(batch.asked.unknown),
        "continued": batch.asked.continued,
        "notes": list(notes),
    }

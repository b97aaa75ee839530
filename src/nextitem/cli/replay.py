"""The verb `replay`: held-out events through a service, beside the offline number of the same cases."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextitem.cli.console import Sheet, say, show_json, show_prose, show_table
from nextitem.cli.options import AsJson, ColumnNames, RunToRead, columns_of, path_to, stored_run
from nextitem.compute.waiting import told_if_slow
from nextitem.data.interactions import Interactions
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions
from nextitem.errors import ConfigurationError, ScoreError
from nextitem.experiment.folder.reading import LISTS, Run
from nextitem.settings.given import expanded
from nextitem.storage import content_of
from nextitem.words import counted

if TYPE_CHECKING:
    from nextitem.serving.replay.replayed import Replayed

_RANKS = "ranks.parquet"


def replay(
    run_folder: RunToRead,
    events: Annotated[
        Path | None, typer.Argument(parser=expanded, metavar="[EVENTS]", help="File of later events, with times.")
    ] = None,
    columns: ColumnNames = "",
    own_cases: Annotated[bool, typer.Option("--test", help="The run's own test cases, in place of events.")] = False,
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=1000, help="Items of a list.")] = 10,
    url: Annotated[str | None, typer.Option(help="Address of a running service; none: one in this process.")] = None,
    token_file: Annotated[
        Path | None, path_to("File with the token of that service; default: the variable NEXTITEM_TOKEN.")
    ] = None,
    clients: Annotated[int, typer.Option(min=1, max=64, help="Requests at a time.")] = 2,
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many cases alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a service for each later event, then store it: hit rate, latency, decay, beside the offline number."""
    # Here, because nobody who is told of a mistake of typing should wait for a server's libraries.
    from nextitem.serving.replay.asking import Asker
    from nextitem.serving.replay.cases import event_cases
    from nextitem.serving.replay.cases import own_cases as cases_of
    from nextitem.serving.replay.replay import replay as replayed

    if own_cases == (events is not None):
        raise ConfigurationError("replay takes either a file of EVENTS or --test, the run's own test cases; give one")
    if token_file is not None and url is None:
        raise ConfigurationError("--token-file is about the service at --url, and none is named; leave it out")
    run = stored_run(run_folder, (*LISTS, _RANKS) if own_cases else LISTS)
    with told_if_slow("ranking the cases offline", say):
        cases = cases_of(run, limit) if events is None else event_cases(run, _events(run, events, columns), limit)
    with (
        _service(run, url) as address,
        Asker(address, _token(token_file) if url else None) as asker,
        told_if_slow(f"asking the service for {counted(len(cases), 'case')}", say),
    ):
        found = replayed(cases, run, asker, k, clients)
    if as_json:
        show_json({"run": str(run_folder), "url": url, **found.as_dict()})
    else:
        _show(found)
    _require_agreement(found)


def _events(run: Run, file: Path, columns: str) -> Interactions:
    like = run.metrics.provenance.columns or run.recipe.columns
    return read_interactions(file, columns_of(columns) or Columns(), like=like)


@contextmanager
def _service(run: Run, url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    from nextitem.serving.replay.here import served_here

    with served_here(run.folder) as address:
        yield address


def _token(file: Path | None) -> str | None:
    return os.environ.get("NEXTITEM_TOKEN") if file is None else content_of(file).decode(errors="replace").strip()


def _show(found: "Replayed") -> None:
    served, offline = found.served, found.offline
    users = len(set(found.cases.users))
    title = f"{counted(len(found.cases), 'case')} of {counted(users, 'user')}"
    table = Sheet(title, ("metric", "served", "offline"), left=("metric",))
    for name in found.metrics:
        table.add(name, f"{served[name]:.6f}", f"{offline[name]:.6f}")
    listed, sure, edge = found.hits()
    table.section()
    table.add("hits", f"{listed:,}", f"{sure:,}" + (f" to {sure + edge:,}" if edge else ""))
    table.caption = _compared(found)
    show_table(table)
    _show_latency(found)
    _show_age(found)


def _compared(found: "Replayed") -> str:
    differ, late = int(found.differs_C.sum()), int(found.is_late_C.sum())
    told = "Every target stands where it ranks offline." if not differ else f"{counted(differ, 'target')} elsewhere."
    told += f" {counted(late, 'answer')} came after the deadline, by popularity, and were not compared." if late else ""
    tied = int(((found.cases.ranks.above_C < found.k) & (found.cases.ranks.tied_C > 0)).sum())
    return told + (f" {counted(tied, 'target')} within {found.k} tied with other items: a list shows one order of "
                   "these, and offline counts the expectation over all." if tied else "")  # fmt: skip


def _show_latency(found: "Replayed") -> None:
    from nextitem.serving.replay.replayed import percentiles

    many = f", {found.together} cases" if found.together > 1 else ""
    asked = {f"a request for lists{many}": found.asked_seconds, "an event stored": found.told_seconds}
    shown = {what: percentiles(seconds) for what, seconds in asked.items() if seconds}
    columns = [*next(iter(shown.values()))]
    table = Sheet("milliseconds", ("of", *columns), left=("of",))
    for what, values in shown.items():
        table.add(what, *(f"{values[name]:.1f}" for name in columns))
    show_table(table)


def _show_age(found: "Replayed") -> None:
    if not (periods := found.periods()):
        return
    hit_rate = found.metrics[0]
    table = Sheet("by the model's age", ("days", "cases", f"{hit_rate} served", "offline"), left=("days",))
    for one in periods:
        days = f"{one.days[0]:.1f} – {one.days[1]:.1f}"
        table.add(days, f"{one.cases:,}", f"{one.served[hit_rate]:.4f}", f"{one.offline[hit_rate]:.4f}")
    show_table(table)
    if found.cases.learnt_until is None:
        show_prose("Days count from the first case: the run does not store when its own events were.")


def _require_agreement(found: "Replayed") -> None:
    rows = found.differs_C.nonzero()[:, 0].tolist()
    if not rows:
        return
    ranks, first = found.cases.ranks, rows[0]
    above, tied, place = float(ranks.above_C[first]), float(ranks.tied_C[first]), int(found.place_C[first])
    rank = "nowhere" if above == float("inf") else f"{above + 1:.0f} to {above + tied + 1:.0f}"
    raise ScoreError(
        f"{counted(len(rows), 'case')} of {len(found.cases):,} stand elsewhere than offline, the first of user "
        f"{found.cases.users[first]!r}: item {found.cases.targets[first]!r} at place {place or 'none'} of {found.k}, "
        f"offline {rank}; see whether the service has other events of these users, or another catalogue"
    )

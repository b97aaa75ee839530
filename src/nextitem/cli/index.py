"""The verb `index`: the items of a large catalogue in an index, or taken out of it."""

from typing import Annotated

import typer

from nextitem.cli.console import say, show, show_json
from nextitem.cli.options import AsJson, RunFolder, Threads, stored_run
from nextitem.compute.waiting import told_if_slow
from nextitem.experiment.folder.reading import LISTS
from nextitem.serving.indexed.index import CODED, FACTS, IndexFacts
from nextitem.serving.indexed.stored import remove, store
from nextitem.serving.indexing import indexed
from nextitem.words import amount, time_taken


def index(
    run_folder: RunFolder,
    recall: Annotated[
        float, typer.Option(help="Share of the items of exact lists that it has to find, from 0 to 1.")
    ] = 0.99,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Length of the lists by which that is measured.")] = 10,
    queries: Annotated[
        int, typer.Option(min=2, help="Histories of the run's users after which they are made.")
    ] = 1_000,
    threads: Threads = None,
    remove_it: Annotated[bool, typer.Option("--remove", help="Take the index out of the run again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put the items of a large catalogue into an index, measured against exact lists: answers in less time."""
    run = stored_run(run_folder, LISTS)
    if remove_it:
        had = remove(run)
        if as_json:
            show_json({"run": str(run.folder), "removed": had})
        else:
            show(f"run: {run.folder}: {'its index is gone' if had else 'it had no index'}; lists are exact")
        return
    made = indexed(run, recall, k, queries, threads=threads or 0, say=say)
    with told_if_slow("writing the run with its index", say):
        store(run, made.facts, made.coded)
    written = sum((run.folder / name).stat().st_size for name in (FACTS, CODED))
    if as_json:
        show_json({"run": str(run.folder), **made.facts.model_dump(), "bytes": written})
        return
    _show(made.facts, written)
    show(f"run: {run.folder}")


def _show(facts: IndexFacts, written: int) -> None:
    show(f"index: {facts.items:,} items in {time_taken(facts.build_seconds)}, {amount(written)}")
    show(
        f"recall@{facts.k}: {facts.recall:.4f} of exact lists after {facts.queries:,} histories ({facts.asked:g} asked "
        f"for), {facts.breadth:,} items looked at for each in {facts.entered:,} of {facts.cells:,} cells, and more for "
        f"what it leaves out"
    )
    faster = f"{facts.exact_ms / facts.index_ms:.1f} times as fast" if facts.index_ms else "too short to compare"
    show(f"one list, one thread: exact {facts.exact_ms:.2f} ms, by the index {facts.index_ms:.2f} ms ({faster})")
    if facts.index_ms >= facts.exact_ms:
        say("note: exact lists are as fast here, and exact; take the index out again by --remove")

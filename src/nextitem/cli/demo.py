"""`nextitem demo`: the whole pipeline on synthetic data."""

import os
import sys
import webbrowser
from dataclasses import asdict
from typing import Annotated

import typer

from nextitem.cli.console import Sheet, say, show_json, show_prose, show_table
from nextitem.cli.options import AsJson, seed_of
from nextitem.data.acquisition import cache_folder
from nextitem.experiment.recipe import Recipe
from nextitem.studies import demo as demonstration
from nextitem.training.history import Silent, Watcher
from nextitem.words import epoch_of, interval


def demo(
    seed: Annotated[int, seed_of("all models")] = 0,
    serve: Annotated[
        bool, typer.Option("--serve", help="Train two of them, once, and show on a page what they recommend.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of that page; 0: any that is free.")] = 8000,
    as_json: AsJson = False,
) -> None:
    """Six models on generated data, in minutes: no network, no files.

    With --serve two of them are trained once and kept, and a page on this machine shows what they recommend.
    """
    if serve:
        _serve(seed, port)
        return

    def watch(label: str, recipe: Recipe) -> Watcher:
        say(f"training {label}")
        return Silent()

    rows = demonstration.rows(seed, watch, lambda row: say(f"  NDCG@10 {row.ndcg:.4f}"))
    if as_json:
        show_json({"rows": [asdict(row) for row in rows], "verdict": demonstration.verdict(rows)})
        return
    columns = ("model", "HR@10", "NDCG@10", "95 % interval", "of upper bound", "seconds", "best epoch")
    title = "Next-item recommendation on the synthetic log (test cases, full catalogue)"
    table = Sheet(title, columns, left=("model",))
    for row in rows:
        cells = (f"{row.hit_rate:.4f}", f"{row.ndcg:.4f}", interval(row.interval), f"{row.share_of_bound:.0%}")
        table.add(row.label, *cells, f"{row.train_seconds:.1f}", epoch_of(row.best_epoch, row.epochs))
    show_table(table)
    show_prose(demonstration.verdict(rows))


def _serve(seed: int, port: int) -> None:
    """A page on this machine, until Ctrl-C. The models are kept in the cache: only the first start takes long."""
    # Here, because the table of the demo needs no server.
    from nextitem.serving.page.routes import with_page
    from nextitem.serving.service.app import create_app
    from nextitem.serving.service.listening import address_of, listen, listener
    from nextitem.serving.service.logs import Log
    from nextitem.serving.service.models import Models
    from nextitem.serving.service.service import Service
    from nextitem.serving.service.settings import ServiceSettings

    settings = ServiceSettings(port=port)
    opened = listener(settings)  # a port that is taken is told of before a minute of training
    folders = demonstration.served(seed, cache_folder() / "demo", say)
    address, service = address_of(opened), Service(Models.load(folders), settings)
    app = create_app(service, log=Log(is_silent=True))  # a line for every request would hide the address
    listen(with_page(app, service), opened, service, lambda: _open(address))


def _open(address: str) -> None:
    show_prose(f"{address}/ shows what they recommend; Ctrl-C ends it")
    # Without a screen the system's opener would start a browser inside the terminal.
    if sys.stdout.isatty() and (sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()):
        webbrowser.open(address)

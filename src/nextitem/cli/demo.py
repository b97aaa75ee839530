"""`nextitem demo`: the whole pipeline on synthetic data."""

from dataclasses import asdict
from typing import Annotated

from nextitem.cli.console import Sheet, say, show_json, show_prose, show_table
from nextitem.cli.options import AsJson, seed_of
from nextitem.experiment.recipe import Recipe
from nextitem.studies import demo as demonstration
from nextitem.training.history import Silent, Watcher
from nextitem.words import epoch_of, interval


def demo(
    seed: Annotated[int, seed_of("all models")] = 0,
    as_json: AsJson = False,
) -> None:
    """Six models on generated data, in minutes: no network, no files."""

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

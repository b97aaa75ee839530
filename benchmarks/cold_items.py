"""Items that no training saw, added from their features: how often the one that came next is among ten, of all items.

    NEXTITEM_DATA=path/to/data python benchmarks/cold_items.py FOLDER [--recipe sasrec-ce] [key=value …]

One item of Sports_and_Outdoors in ten, drawn by a seed, is held out: none of its events is in the log that is trained
on. The run is stored in FOLDER (and used again where it is there), the items are added to it from their attributes
alone, and each user whose very last event is of a held-out item is asked about by all that was before it. The target is
ranked among all items, trained and added, without those of the history.

Written down before the first run: chance is 10 of 18,357 items, 0.0005; expected was 0.008 with an interval from 0.004
to 0.02, since attributes (six of 2,277 an item) say a category and a brand, and not which of their items is wanted.
What was found stands in docs/serving.md.
"""

import argparse
import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import polars as pl

SHARE, SEED = 0.1, 0
RECIPE = (
    "encoder.blocks=1",
    "loss.precision=bfloat16",
    "training.epochs=15",
    "training.patience=3",
    "training.validation_users=5000",
)


def events_of(data: Path) -> pl.DataFrame:
    """`user` and `item` in order of time, a row for each event."""
    lines = gzip.decompress((data / "Sports_and_Outdoors.txt.gz").read_bytes()).decode().splitlines()
    pairs = [(int(user), int(item)) for user, *items in map(str.split, lines) for item in items]
    return pl.DataFrame(pairs, schema=["user", "item"], orient="row")


def attributes_of(data: Path) -> pl.DataFrame:
    """`item` and its `attributes`, as texts."""
    known = json.loads(gzip.decompress((data / "Sports_and_Outdoors_item2attributes.json.gz").read_bytes()))
    rows = [(int(item), [str(one) for one in its]) for item, its in known.items()]
    return pl.DataFrame(rows, schema={"item": pl.Int64, "attributes": pl.List(pl.String)}, orient="row")


def held_out(events: pl.DataFrame) -> pl.Series:
    """The items that no training sees."""
    return events["item"].unique().sort().sample(fraction=SHARE, seed=SEED).sort()


def train_into(folder: Path, events: pl.DataFrame, items: pl.DataFrame, recipe: str, overrides: list[str]) -> Path:
    """The folder of a run that was trained without the items that are held out."""
    import torch

    from nextitem import Session, load_recipe
    from nextitem.experiment.train import Extras, train

    torch.set_num_threads(1)
    chosen = load_recipe(recipe, *(overrides or RECIPE))
    extras = Extras(baselines=False, items=items)
    return train(chosen, Session(0), folder, events=events, say=print, extras=extras).folder


def cases_of(events: pl.DataFrame, cold: pl.Series, items: Any) -> Any:
    """Each user whose last event is of a held-out item: the history before it, and that item."""
    import torch

    from nextitem.data.sequences import Sequences
    from nextitem.data.splits.split import Cases

    histories = events.group_by("user", maintain_order=True).agg("item")
    asked = histories.filter(pl.col("item").list.last().is_in(cold.implode()))
    indices = [items.lookup(pl.Series(history)).tolist() for history in asked["item"].to_list()]
    sequences = Sequences.of([history[:-1] for history in indices], len(items))
    return Cases.of(sequences, torch.tensor([history[-1] for history in indices]), torch.ones(len(items)).long())


def measure(folder: Path, events: pl.DataFrame, attributes: pl.DataFrame, cold: pl.Series) -> dict[str, Any]:
    """What the model says of items that were added to it, beside what chance says."""
    import torch

    from nextitem import read_run
    from nextitem.data.features.columns import FeatureColumns
    from nextitem.data.features.joining import join
    from nextitem.data.features.rows import rows_of_frame
    from nextitem.data.log import Catalog
    from nextitem.evaluation.evaluate import evaluate
    from nextitem.evaluation.ranks import top_k
    from nextitem.experiment.again import restore_own
    from nextitem.experiment.folder.histories import histories_of
    from nextitem.serving.catalogue.cold import ColdMap

    run = read_run(folder)
    model, started = restore_own(run), time.perf_counter()
    counts_N = torch.from_numpy(run.items["count"].to_numpy(writable=True))
    learnt = ColdMap.learnt(model, run.features, counts_N, histories_of(run.users, len(run.items)))
    seconds = time.perf_counter() - started
    new = join(rows_of_frame(attributes), Catalog(cold), FeatureColumns()).features
    items, larger = Catalog(pl.concat([run.items["item"], cold])), model.grown(learnt.rows(new))
    cases = cases_of(events, cold, items)
    found = evaluate(larger, cases, ["hit_rate@10", "ndcg@10"])
    among = evaluate(larger, cases, ["hit_rate@10"]).means["hit_rate@10"]
    lists, _ = top_k(larger.query(cases.histories), 10, cases.histories)
    chance = float((10 / (len(items) - cases.histories.lengths_U.double())).mean())
    low, high = found.intervals["hit_rate@10"]
    return {
        "items": len(items),
        "added": len(cold),
        "cases": len(cases),
        "hit_rate@10": among,
        "interval": [low, high],
        "chance": chance,
        "times_chance": [low / chance, among / chance, high / chance],
        "ndcg@10": found.means["ndcg@10"],
        "share_of_lists_that_is_added": float((lists >= len(run.items)).double().mean()),
        "share_of_catalogue_that_is_added": len(cold) / len(items),
        "penalty": learnt.penalty,
        "spread": learnt.spread,
        "explained": learnt.explained,
        "seconds_of_the_map": round(seconds, 1),
        "warm_test_hit_rate@10": run.metrics.test.means["hit_rate@10"],
    }


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("--recipe", default="sasrec-ce")
    asked.add_argument("overrides", nargs="*")
    given = asked.parse_args()
    data = Path(os.environ["NEXTITEM_DATA"])
    events, items = events_of(data), attributes_of(data)
    cold = held_out(events)
    stored = sorted(given.folder.glob("*/manifest.json"))
    warm = events.filter(~pl.col("item").is_in(cold.implode()))
    known = items.filter(~pl.col("item").is_in(cold.implode()))
    folder = stored[-1].parent if stored else train_into(given.folder, warm, known, given.recipe, given.overrides)
    print(json.dumps(measure(folder, events, items, cold), indent=2))


if __name__ == "__main__":
    main()

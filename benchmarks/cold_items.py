"""Items that no training saw, added from their features: how often the one that came next is among ten, of all items.

    NEXTITEM_DATA=path/to/data python benchmarks/cold_items.py FOLDER [key=value …] [--data ml-100k] [--recipe NAME]

With `items=featured items.id_dropout=0.3` among the settings new items are made by the model's own map from features,
else by the regression; each in a FOLDER of its own, the two are compared. Settings are laid on those of RECIPE.

One item of Sports_and_Outdoors (or of ml-100k) in ten, drawn by a seed, is held out: none of its events is in the log
that is trained on. The run is stored in FOLDER (and used again where it is there), the items are added to it from their
attributes alone, and each user whose very last event is of a held-out item is asked about by all that was before it.
The target is ranked among all items, trained and added, without those of the history.

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


def films_of(data: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The same two tables of MovieLens-100K: events by time, and items with genres and years."""
    text = {name: gzip.decompress((data / f"ml-100k.{name}.gz").read_bytes()) for name in ("inter", "item")}
    events = pl.read_csv(text["inter"], separator="\t").sort("timestamp:float", maintain_order=True)
    films = pl.read_csv(text["item"], separator="\t", quote_char=None, infer_schema=False)
    genres, year = pl.col("class:token_seq").str.split(" "), pl.col("release_year:token").cast(pl.Float64, strict=False)
    items = films.select(item=pl.col("item_id:token").cast(pl.Int64), genres=genres, year=year)
    return events.select(user="user_id:token", item="item_id:token"), items


def held_out(events: pl.DataFrame) -> pl.Series:
    """The items that no training sees."""
    return events["item"].unique().sort().sample(fraction=SHARE, seed=SEED).sort()


def _laid_on(overrides: list[str]) -> list[str]:
    """The settings of RECIPE, and those that are asked for in place of some."""
    keys = {override.partition("=")[0] for override in overrides}
    return [*(own for own in RECIPE if own.partition("=")[0] not in keys), *overrides]


def train_into(folder: Path, events: pl.DataFrame, items: pl.DataFrame, recipe: str, overrides: list[str]) -> Path:
    """The folder of a run that was trained without the items that are held out."""
    import torch

    from nextitem import Session, load_recipe
    from nextitem.experiment.train import Extras, train

    torch.set_num_threads(1)
    chosen = load_recipe(recipe, *_laid_on(overrides))
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
    new = join(rows_of_frame(attributes), Catalog(cold), FeatureColumns()).features
    rows, learnt = model.rows_of(run.features, counts_N, new), None
    if rows is None:
        learnt = ColdMap.learnt(model, run.features, counts_N, histories_of(run.users, len(run.items)))
        rows = learnt.rows(new)
    seconds = time.perf_counter() - started
    items, larger = Catalog(pl.concat([run.items["item"], cold])), model.grown(rows)
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
        "map": "the model's own" if learnt is None else "regression",
        "penalty": None if learnt is None else learnt.penalty,
        "spread": None if learnt is None else learnt.spread,
        "explained": None if learnt is None else learnt.explained,
        "seconds_of_the_map": round(seconds, 1),
        "warm_test_hit_rate@10": run.metrics.test.means["hit_rate@10"],
    }


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("--data", choices=["Sports_and_Outdoors", "ml-100k"], default="Sports_and_Outdoors")
    asked.add_argument("--recipe", default="sasrec-ce")
    asked.add_argument("overrides", nargs="*")
    given = asked.parse_intermixed_args()
    data = Path(os.environ["NEXTITEM_DATA"])
    events, items = films_of(data) if given.data == "ml-100k" else (events_of(data), attributes_of(data))
    cold = held_out(events)
    stored = sorted(given.folder.glob("*/manifest.json"))
    warm = events.filter(~pl.col("item").is_in(cold.implode()))
    known = items.filter(~pl.col("item").is_in(cold.implode()))
    folder = stored[-1].parent if stored else train_into(given.folder, warm, known, given.recipe, given.overrides)
    print(json.dumps(measure(folder, events, items, cold), indent=2))


if __name__ == "__main__":
    main()

"""The paper's story on generated data in minutes: six models, one table, and the best there could be.

And two of the models as stored runs, for who wants to look at what they recommend.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nextitem.compute.waiting import Say
from nextitem.data.prepare import Prepared, prepare
from nextitem.engine.each import train_each
from nextitem.engine.entries import Entry, Place
from nextitem.errors import TrainingError
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, run
from nextitem.training.history import Watcher
from nextitem.training.session import Session

# So that everything takes minutes: SASRec with a larger step size and fewer epochs than the presets. BERT4Rec learns
# from a fifth of the positions in an epoch and stays at popularity's level for about twenty (at the larger step size,
# for good), so it keeps its step size and gets more epochs.
NEURAL = ("training.learning_rate=3e-3", "training.validation_users=1000", "training.epochs=20", "training.patience=3")
CLOZE = ("training.validation_users=1000", "training.epochs=60", "training.patience=20")
MODELS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Popularity", "popularity", ()),
    ("Co-occurrence", "co-occurrence", ()),
    ("SASRec (BCE, 1 negative)", "sasrec-bce", NEURAL),
    ("SASRec+ (softmax)", "sasrec-ce", NEURAL),
    ("SASRec+ 500 (sampled)", "sasrec-3000", NEURAL),
    ("BERT4Rec", "bert4rec", CLOZE),
)

# What is served: unlike each other, and there in half a minute.
SERVED = (("SASRec+", "sasrec-ce", NEURAL), ("Co-occurrence", "co-occurrence", ()))


@dataclass(frozen=True)
class DemoRow:
    """One model of the table."""

    label: str
    hit_rate: float
    ndcg: float
    interval: tuple[float, float]
    share_of_bound: float
    train_seconds: float
    best_epoch: int
    epochs: int


def rows(seed: int, watch: Callable[[str, Recipe], Watcher], on_row: Callable[[DemoRow], None]) -> list[DemoRow]:
    """Train and evaluate every model of the demo on the synthetic data; `on_row` is told of each when it is done."""
    found: list[DemoRow] = []
    prepared: Prepared | None = None
    for label, preset, overrides in MODELS:
        recipe = resolve_recipe(load_preset(preset), ("data=synthetic", *overrides)).value
        prepared = prepared or prepare(recipe)
        outcome = run(recipe, Session(seed, watcher=watch(label, recipe)), prepared=prepared)
        found.append(_row(label, outcome))
        on_row(found[-1])
    return found


def _row(label: str, outcome: Outcome) -> DemoRow:
    bound = (outcome.upper_bound or {})["ndcg@10"]
    means = outcome.test.means
    return DemoRow(
        label,
        means["hit_rate@10"],
        means["ndcg@10"],
        outcome.test.intervals["ndcg@10"],
        means["ndcg@10"] / bound,
        outcome.history.train_seconds,
        outcome.history.best_epoch,
        len(outcome.history.epochs),
    )


def verdict(rows: list[DemoRow]) -> str:
    """Whether the order that the paper reports shows here, in one sentence."""
    ndcg = {row.label.split(" (")[0]: row.ndcg for row in rows}
    order = " > ".join(f"{name} {ndcg[name]:.3f}" for name in sorted(ndcg, key=lambda name: -ndcg[name]))
    plus, bert, plain = ndcg["SASRec+"], ndcg["BERT4Rec"], ndcg["SASRec"]
    if plus > bert > plain:
        return f"The paper's order shows (SASRec+ above BERT4Rec above SASRec): {order}"
    return f"The paper's order (SASRec+ above BERT4Rec above SASRec) does not show in this short run: {order}"


def served(seed: int, out: Path, say: Say) -> list[Path]:
    """The folders of two models' runs on the synthetic data, in `out`: made now, or left there by an earlier start.

    Raises TrainingError where one cannot be made, and StorageError where it cannot be stored.
    """
    entries = [
        Entry(label, resolve_recipe(load_preset(preset), ("data=synthetic", *overrides)).value)
        for label, preset, overrides in SERVED
    ]
    # What was interrupted is begun anew: going on to the same bits would ask for the same number of threads.
    found = train_each(entries, [seed], Place(out, fresh=True), say)
    for one in found:
        if one.failures:
            raise TrainingError(f"{one.label}: {'; '.join(one.failures)}")
    return [one.runs[0].folder for one in found]

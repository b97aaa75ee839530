"""The paper's table again: Klenitskiy and Vasilev, "Turning Dross Into Gold Loss" (RecSys 2023, arXiv 2309.07602).

Which recipes are trained, what was published for them, and whether what the paper claims is seen here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nextitem.data.datasets import DATASETS
from nextitem.data.prepare import SYNTHETIC
from nextitem.engine.entries import Contestant, Entry
from nextitem.errors import ConfigurationError
from nextitem.evaluation.paired import Difference, corrected_together, draws_of
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.settings.suggestion import suggest
from nextitem.studies.comparison import differences, values_of, varied_in
from nextitem.words import counted, interval

# The table's rows. GRU4Rec is quoted from another public README that repeats the paper's values.
ROWS = ("sasrec-bce", "sasrec-ce", "sasrec-3000", "bert4rec", "gru4rec", "bpr-mf", "popularity")
COUNTS = (1, 10, 100, 300, 1000, 3000)
SWEPT = "sasrec-3000"
LEVEL = 0.05


@dataclass(frozen=True)
class PublishedValues:
    """What the paper's README prints for one row."""

    hit_rate: float
    ndcg: float
    train_seconds: int | None = None  # on a GPU that it does not name
    best_epoch: int | None = None

    @property
    def metrics(self) -> dict[str, float]:
        return {"ndcg@10": self.ndcg, "hit_rate@10": self.hit_rate}


def _published() -> dict[str, dict[str, PublishedValues]]:
    """Dataset to recipe to published values, as the recipes have them."""
    found: dict[str, dict[str, PublishedValues]] = {}
    for name in ROWS:
        for data, values in load_preset(name).published.items():
            seconds, epoch = values.get("train_seconds"), values.get("best_epoch")
            found.setdefault(data, {})[name] = PublishedValues(
                values["hit_rate@10"],
                values["ndcg@10"],
                None if seconds is None else int(seconds),
                None if epoch is None else int(epoch),
            )
    return found


PUBLISHED_VALUES: Mapping[str, Mapping[str, PublishedValues]] = _published()
DATA = (*PUBLISHED_VALUES, SYNTHETIC)

# A first look in minutes, at the cost of being no reproduction: a larger step size and fewer epochs than the paper's.
# BERT4Rec stays at popularity's level for its first twenty epochs and does not learn at the larger step size.
_FAST = ("training.learning_rate=3e-3", "training.validation_users=1000", "training.epochs=12", "training.patience=3")
_FAST_CLOZE = ("training.validation_users=1000", "training.epochs=40", "training.patience=20")
_FAST_COUNTS = (10, 100)


@dataclass(frozen=True)
class ReproductionRequest:
    """What is to be reproduced, and how thoroughly."""

    data: str
    fast: bool = False
    sweep: bool = True
    """Whether the numbers of negatives are tried as well."""
    overrides: tuple[str, ...] = ()
    """Settings laid on every recipe that is trained by gradient."""

    def __post_init__(self) -> None:
        if self.data not in DATA:
            raise ConfigurationError(f"there is nothing to reproduce on '{self.data}'; {suggest(self.data, DATA)}")
        if self.fast and self.data != SYNTHETIC:
            raise ConfigurationError(f"--fast is a first look at synthetic data, not at {self.data}; leave one out")


def table_entries(request: ReproductionRequest) -> list[Entry]:
    """The rows of the table."""
    return [_entry(name, request, name) for name in ROWS]


def sweep_entries(request: ReproductionRequest) -> dict[int, Entry]:
    """SASRec+ with a sampled softmax by its number of negatives, as far as the catalogue has as many items.

    The number that the table has already is among them, under the table's name.
    """
    if not request.sweep:
        return {}
    whole = _entry(SWEPT, request, SWEPT)
    negatives = whole.recipe.sequence.negatives
    own = (negatives.count if negatives is not None else None) or 0
    items = DATASETS[request.data].items if request.data in DATASETS else 2 * own
    counts = {count for count in (_FAST_COUNTS if request.fast else COUNTS) if count < items and count != own}
    found = {count: _entry(SWEPT, request, counted(count, "negative"), f"negatives.count={count}") for count in counts}
    return dict(sorted({own: whole, **found}.items()))


def _entry(name: str, request: ReproductionRequest, label: str, *overrides: str) -> Entry:
    preset = load_preset(name)
    is_counted = resolve_recipe(preset).value.learner.unplanned is not None
    fast = () if not request.fast or is_counted else _FAST_CLOZE if name == "bert4rec" else _FAST
    chosen = (f"data={request.data}", *fast, *(() if is_counted else request.overrides), *overrides)
    try:
        return Entry(label, resolve_recipe(preset, chosen).value)
    except ConfigurationError as error:
        raise ConfigurationError(f"recipe {name}: {error}") from error


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim of the paper, and what is seen here."""

    claim: str
    finding: str
    """`holds`, `does not hold`, `undecided` (the interval reaches 0), or `not measured`."""
    facts: str
    """Our numbers."""
    published: str
    """The paper's numbers; "" where there are none."""


_BETTER = (
    ("SASRec+ beats BERT4Rec in NDCG@10", "sasrec-ce", "bert4rec"),
    ("SASRec+ 3000 beats BERT4Rec in NDCG@10", "sasrec-3000", "bert4rec"),
    ("BERT4Rec beats SASRec in NDCG@10", "bert4rec", "sasrec-bce"),
)
_FASTER = (
    ("SASRec+ trains faster than BERT4Rec", "sasrec-ce", "bert4rec"),
    ("SASRec+ 3000 trains faster than BERT4Rec", "sasrec-3000", "bert4rec"),
)


def verdicts(rows: Sequence[Contestant], data: str) -> list[ClaimVerdict]:
    """Each claim with its verdict; p-values are corrected over the claims that could be tested."""
    by_name = {row.label: row for row in rows if row.runs}
    there = [(claim, a, b) for claim, a, b in _BETTER if a in by_name and b in by_name]
    tested = iter(corrected_together([_tested(by_name[a], by_name[b]) for _, a, b in there]))
    published = PUBLISHED_VALUES.get(data, {})
    found = []
    for claim, a, b in _BETTER:
        said = f"{published[a].ndcg - published[b].ndcg:+.4f}" if a in published and b in published else ""
        found.append(_judged(claim, next(tested) if (claim, a, b) in there else None, said))
    for claim, a, b in _FASTER:
        times = [published[name].train_seconds for name in (a, b) if name in published]
        said = _times(times[0], times[1]) if len(times) == 2 and None not in times else ""
        found.append(_timed(claim, by_name.get(a), by_name.get(b), said))
    return found


def _tested(first: Contestant, second: Contestant) -> Difference:
    values = [values_of(first, "ndcg@10"), values_of(second, "ndcg@10")]
    draws = draws_of(values, [(0, 1)], [first.is_fixed, second.is_fixed])
    return differences(first, second, values[0], values[1], draws.differences[0])[0]


def _judged(claim: str, difference: Difference | None, published: str) -> ClaimVerdict:
    if difference is None:
        return ClaimVerdict(claim, "not measured", "a run is missing", published)
    finding = "undecided"
    if difference.corrected_p <= LEVEL:
        finding = "holds" if difference.value > 0 else "does not hold"
    covered = interval(difference.interval, "+.4f")
    facts = f"{difference.value:+.4f}, 95 % interval {covered}, p {difference.corrected_p:.2g}"
    return ClaimVerdict(claim, finding, facts, published)


def _timed(claim: str, first: Contestant | None, second: Contestant | None, published: str) -> ClaimVerdict:
    if first is None or second is None:
        return ClaimVerdict(claim, "not measured", "a run is missing", published)
    seconds = [best_seconds(row) for row in (first, second)]
    finding = "holds" if seconds[0] < seconds[1] else "does not hold"
    return ClaimVerdict(claim, finding, f"{_times(*seconds)} of training to the best epoch", published)


def best_seconds(row: Contestant) -> float:
    """Seconds of optimisation up to the best epoch, mean over seeds."""
    return sum(sum(epoch.train_seconds for epoch in run.history[: run.metrics.best_epoch]) for run in row.runs) / max(
        1, len(row.runs)
    )


def _times(first: float | None, second: float | None) -> str:
    return f"{first or 0:,.0f} s against {second or 0:,.0f} s"


def judged_by(rows: Sequence[Contestant], verdicts: Sequence[ClaimVerdict]) -> str:
    """What the verdicts rest on, in words."""
    tests = sum(verdict.finding != "not measured" for verdict in verdicts[: len(_BETTER)])
    claimed = {name for _, *pair in _BETTER for name in pair}
    over = varied_in([row for row in rows if row.label in claimed])
    return (
        f"NDCG@10: `holds` and `does not hold` at p ≤ {LEVEL}, corrected by Holm for the {tests} claims that were "
        f"tested; intervals, which are not corrected, and p are over {over}. Seconds are set side by side and not "
        f"tested: they depend on the machine, and on what else it did."
    )


def deviations(rows: Sequence[Contestant], data: str) -> list[str]:
    """A sentence on each row that is not near its published value: by how much, and where to look for why."""
    found = []
    for row in rows:
        if (word := agreement(row, data)) not in ("better", "worse"):
            continue
        share = float(values_of(row, "ndcg@10").mean()) / PUBLISHED_VALUES[data][row.label].ndcg - 1
        seeds = f"{len(row.runs)} seeds" if len(row.runs) > 1 else "one seed, whose luck is part of it"
        higher = (
            "; of these *Columns* (pad and mask are no rivals of a target) is known to work upwards, and "
            "docs/results.md says what was measured of it"
        )
        found.append(
            f"`{row.label}` is {word} than published, by {abs(share):.1%} of NDCG@10 ({seeds}). What was not copied of "
            f"the original stands in docs/reference.md, *Differences from the reference "
            f"implementation*{higher if word == 'better' else ''}."
        )
    return found


def agreement(row: Contestant, data: str, metric: str = "ndcg@10") -> str:
    """Where a row is beside its published value: `agrees` is within 5 % or twice its seeds' spread; "" without one."""
    published = PUBLISHED_VALUES.get(data, {}).get(row.label)
    if published is None or not row.runs:
        return ""
    of_seeds = values_of(row, metric).mean((1, 2))
    spread = 2 * float(of_seeds.std()) if len(of_seeds) > 1 else 0.0
    value, expected = float(of_seeds.mean()), published.metrics[metric]
    if abs(value - expected) <= max(LEVEL * expected, spread):
        return "agrees"
    return "better" if value > expected else "worse"

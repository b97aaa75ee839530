"""What a number was measured on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace

from nextitem.data.kinds import measured, weighed
from nextitem.data.splits.questions import have_several
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError
from nextitem.evaluation.ranking import Ranking
from nextitem.words import counted

PER_USER = "per user"


@dataclass(frozen=True)
class Certificate:
    """What a number was measured on; two numbers may be compared only if their certificates are equal."""

    dataset: str
    split: str
    """sha256 over the histories and targets."""
    cases: int
    hidden: str
    """Which items are left out of the ranking: `history`, `nothing` or, of its latest n events, `last:n`."""
    ties: str
    """How items of equal score are ordered: `expectation` over a random order."""
    ranking: str
    """`full` catalogue, or how a case's negatives were drawn, such as `popularity:100, seed 0`."""
    candidates: int
    """Number of items that are ranked."""
    metrics: tuple[str, ...]
    rule: str = field(default="", compare=False)
    """How the cases were chosen, in words; "" where nobody said. What they are is compared by `split`."""
    averaged: str = ""
    """How cases become one number where a user may have several: `per user`, and then over users."""
    diversity: str = ""
    """By what two items of a list are told apart, such as `categories genres`; "" where no metric asks for that."""
    kinds: str = ""
    """What the kinds of events are to the cases, such as `purchase target, view history`; "" of a log without kinds."""
    weights: str = field(default="", compare=False)
    """What targets weigh in training, such as `purchase 1, view 0.2`: stated, and not compared, since no case of the
    test depends on it."""

    told: str = ""
    """What a model may know beside the history: `the time of the target`, or, as nearly always, "": nothing."""

    @classmethod
    def of(cls, cases: Cases, ranking: Ranking, metrics: Sequence[str]) -> "Certificate":
        """What says that `metrics` (with their labels) of these cases come from this ranking."""
        return cls(
            dataset=cases.dataset,
            split=cases.sha256,
            cases=len(cases),
            hidden=ranking.hidden,
            ties=ranking.ties,
            ranking=str(ranking),
            candidates=ranking.size(cases.histories.number_of_items),
            metrics=tuple(metrics),
            rule=cases.rule,
            diversity=_told_apart(cases, metrics),
            averaged=PER_USER if have_several(cases.histories.users_U) else "",
            kinds=measured(cases.histories.events.kinds),
            weights=weighed(cases.histories.events.kinds),
            told="" if cases.histories.asked_U is None else "the time of the target",
        )

    @property
    def asked(self) -> str:
        """How many cases there are and what is made of them, in words."""
        return counted(self.cases, "test case") + (f", averaged {self.averaged}" if self.averaged else "")

    def without_metrics(self) -> "Certificate":
        """What is measured on, whatever the metric: where ranks are stored, any can be computed from them."""
        return replace(self, metrics=(), diversity="")

    def untold(self) -> "Certificate":
        """What is measured on, whatever a model knows beside the history."""
        return replace(self, told="")

    def as_dict(self) -> dict[str, object]:
        """Plain values by field; without metrics there is no such field, nor one of what is not said."""
        return {name: value for name, value in asdict(self).items() if value not in ((), "")}

    def differences(self, other: "Certificate") -> str:
        """What differs between the two, in words, such as `hidden history and nothing`; "" where they are equal."""
        compared = [one.name for one in fields(self) if one.compare or self.split != other.split]
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in compared)
        return "; ".join(f"{name} {_told(ours)} and {_told(theirs)}" for name, ours, theirs in pairs if ours != theirs)


def refuse_told(who: Sequence[str]) -> None:
    """Raise ConfigurationError where there is anybody who is told when targets happened, among what is compared."""
    if who:
        raise ConfigurationError(
            f"{', '.join(who)}: told when each target happened (encoder.times=target_leaks), which nobody knows who "
            f"recommends, and that says much about the target; compare encoder.times=past, or ask for --target-times "
            f"(in Python target_times=True) to have such rows in the table"
        )


def _told_apart(cases: Cases, metrics: Sequence[str]) -> str:
    if not any(name.startswith("intra_list_diversity@") for name in metrics):
        return ""
    return "co-occurrence" if cases.categories is None else f"categories {', '.join(cases.categories.columns)}"


def _told(value: str | int | tuple[str, ...]) -> str:
    """A field's value as people read it; of a fingerprint its beginning."""
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    text = f"{value:,}" if isinstance(value, int) else value or "not said"
    return f"{text[:12]}…" if len(text) == 64 else text

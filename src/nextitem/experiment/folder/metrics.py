"""metrics.json: what was measured of a run, on what, and how the run was made."""

from math import isclose, nan
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import ConfigDict, Field, field_serializer, model_serializer, model_validator

from nextitem.evaluation.by_target import Kinds
from nextitem.evaluation.certificate import Certificate
from nextitem.evaluation.evaluate import Evaluation
from nextitem.experiment.folder.provenance import MOST, Count, Provenance
from nextitem.experiment.run import Outcome
from nextitem.experiment.yardsticks import UNCOMPARED, Beside, Yardstick
from nextitem.settings.configuration import Configuration
from nextitem.storage import SHA256

FORMAT: Final = 2
"""Version of what a run leaves: of metrics.json and of the folder around it. Another one is refused."""


STORE = r"^[0-9a-f]{16}$"
"""What the name of a service's database looks like."""


class Means(Configuration):
    """Metrics of some cases, each a mean over users, under their own names beside other fields."""

    model_config: ClassVar[ConfigDict] = {"extra": "allow"}
    __pydantic_extra__: dict[str, float]

    intervals: dict[str, tuple[float, float]]
    """Per metric the 95 % bootstrap interval of the mean over users."""

    @model_validator(mode="after")
    def _has_intervals(self) -> Self:
        if self.means.keys() != self.intervals.keys():
            raise ValueError(f"intervals are of {sorted(self.intervals)} and means of {sorted(self.means)}")
        for name, (low, high) in self.intervals.items():
            if not 0 <= low <= high:
                raise ValueError(f"intervals.{name} = {[low, high]} should ascend from 0 or more")
            if self.means[name] < 0:
                raise ValueError(f"{name} = {self.means[name]} should be at least 0")
        return self

    @property
    def means(self) -> dict[str, float]:
        """Per metric the mean over users of the mean over their cases."""
        return self.__pydantic_extra__


class Kind(Means):
    """Those of the cases whose targets are of one kind: warm, cold or repeated."""

    cases: Count
    share: float = Field(ge=0, le=1)
    """Of all cases of the part."""

    @model_serializer
    def _counts_first(self) -> dict[str, Any]:
        return {"cases": self.cases, "share": self.share, **self.means, "intervals": self.intervals}


class Measured(Means):
    """The metrics of one part, such as test."""

    ceiling: float = Field(ge=0, le=1)
    """Share of targets that occur in training and are not hidden."""
    by_target: dict[Kinds, Kind] | None = None
    """The same by kind of target; none in runs that were stored before kinds were told apart."""

    @model_serializer
    def _metrics_first(self) -> dict[str, Any]:
        kinds = {} if self.by_target is None else {"by_target": self.by_target}
        return {**self.means, "intervals": self.intervals, "ceiling": self.ceiling, **kinds}


class Sampled(Measured):
    """Metrics of rankings among drawn candidates, which compare with no full one."""

    certificate: Certificate

    @model_serializer
    def _certificate_last(self) -> dict[str, Any]:
        return {**self._metrics_first(), "certificate": self.certificate.as_dict()}


class Compared(Configuration):
    """The model's mean less a baseline's, on the same users."""

    value: float = Field(ge=-1, le=1)
    interval: tuple[float, float]
    """95 %, by paired bootstrap over users."""
    p: float = Field(ge=0, le=1)
    """Two-sided, of the bootstrap."""
    corrected_p: float = Field(ge=0, le=1)
    """By Holm's method over the baselines."""


class BesideIt(Measured):
    """What a baseline that counts reaches on the test cases, and what the model has beyond it."""

    differences: dict[str, Compared]
    """Per metric."""

    @model_validator(mode="after")
    def _has_differences(self) -> Self:
        if self.means.keys() != self.differences.keys():
            raise ValueError(f"differences are of {sorted(self.differences)} and means of {sorted(self.means)}")
        return self

    @model_serializer
    def _differences_last(self) -> dict[str, Any]:
        return {**self._metrics_first(), "differences": self.differences}


class Forgotten(Configuration):
    """Users that were taken out of a run after it was measured; who they were is not kept."""

    users: int = Field(ge=1, le=MOST)
    cases: Count
    """Test cases of theirs, which metrics hold still and ranks.parquet has no more."""


class Refit(Configuration):
    """Of a run that learnt all events of another one before serving: nothing was left to evaluate it on."""

    of: str
    """The folder of the run that it comes from, whose best epoch says for how long it was trained."""
    manifest_sha256: str = Field(pattern=SHA256)
    """Of that run's manifest.json, which proves all of it."""
    events: Count
    """All that were learnt."""


class Update(Configuration):
    """Of a run that went on from another one with new events: what is new, and the one before on the same cases."""

    of: str
    """The folder of the run that it went on from."""
    manifest_sha256: str = Field(pattern=SHA256)
    """Of that run's manifest.json."""
    events: Count
    """New ones, held-out ones among them, as of the two that follow."""
    users: Count
    items: Count
    before: BesideIt
    """The earlier model on the test cases; `differences` are the new one's means less its own."""


class MadeOf(Configuration):
    """One of the runs that a run was made of, which lives on without it."""

    run: str
    """Its folder."""
    manifest_sha256: str = Field(pattern=SHA256)
    """Of its manifest.json, which proves all of it."""
    recipe: str
    """What it was called."""
    seed: int = Field(ge=0, lt=2**64)
    best_epoch: Count
    train_seconds: float = Field(ge=0)
    """Part of those of what was made of it."""
    validation: dict[str, float]
    """Its own means, as of the next."""
    test: dict[str, float]


class ChosenBy(Configuration):
    """The run whose validation chose settings and epochs of one that learnt validation events itself."""

    run: str
    """Its folder."""
    manifest_sha256: str = Field(pattern=SHA256)
    """Of its manifest.json."""
    train_seconds: float = Field(0.0, ge=0)
    """Until it was known what it chose."""


UNMEASURED = Measured(intervals={}, ceiling=0.0)
"""Of cases that were learnt: there is no metric of them."""


class Metrics(Configuration):
    """The content of metrics.json, which `train --json` prints as well."""

    format: Literal[2] = FORMAT
    test: Measured
    validation: Measured
    sampled: dict[Literal["test"], Sampled] | None = None
    """Where `--candidates` asked for it."""
    baselines: dict[str, BesideIt] | None = None
    """By name, what only counts, on the test cases of the model; None where it was not asked for."""
    verdict: str | None = None
    """Why the model is no better than counting, in a sentence; None where it is, or nobody looked."""
    test_upper_bound: dict[str, float] | None = None
    """What no model can exceed, on average, by metric; known of generated data."""
    best_epoch: int = Field(ge=0)
    """The one whose weights are kept, from 1; 0 without epochs."""
    epochs: Count
    train_seconds: float = Field(ge=0)
    """Of optimisation, without validation; of a baseline that counts, of counting."""
    parameters: Count
    """Numbers that are learnt."""
    certificate: Certificate
    """What the test metrics were measured on."""
    notes: tuple[str, ...]
    """What is to know about the data, and about how it was learnt."""
    provenance: Provenance
    forgotten: Forgotten | None = None
    """None where nobody was taken out."""
    refit: Refit | None = None
    """None of a run that was evaluated; of another one there are no metrics, and the certificate is what it learnt."""

    update: Update | None = None
    """None of a run that was trained from nothing."""
    made_of: tuple[MadeOf, ...] | None = None
    """None of a run that was trained; else the runs whose models it holds."""
    taught_by: tuple[MadeOf, ...] | None = None
    """None of a run that learnt from no teacher; else the runs that taught it, which it does without."""
    chosen_by: ChosenBy | None = None
    """None of a run whose own validation chose."""
    holds: dict[Annotated[str, Field(pattern=STORE)], Count] | None = None
    """By the name of a service's database, the number of its latest event that the run has learnt: those up to it are
    in its histories, and count there. None of a run that learnt from no database."""

    @property
    def whole_seconds(self) -> float:
        """Seconds of training with those of its teachers and of the run that chose its epochs, without which there is
        no such model; those of what it is made of are in `train_seconds`.
        """
        chosen = 0.0 if self.chosen_by is None else self.chosen_by.train_seconds
        return self.train_seconds + chosen + sum(one.train_seconds for one in self.taught_by or ())

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        certificate = self.certificate
        if self.best_epoch > self.epochs:
            raise ValueError(f"best_epoch = {self.best_epoch:,} is none of {self.epochs:,} epochs")
        for name, number in (("cases", certificate.cases), ("candidates", certificate.candidates)):
            if not 1 <= number <= MOST:
                raise ValueError(f"certificate.{name} = {number} should be from 1 to {MOST:,}")
        if not certificate.metrics and self.refit is None:
            raise ValueError("certificate.metrics names none")
        for name in certificate.metrics:
            if name not in self.test.means or name not in self.validation.means:
                raise ValueError(f"certificate.metrics names {name}, which is not among test and validation")
        for baseline, beside in (self.baselines or {}).items():
            for name, compared in beside.differences.items():
                if not isclose(self.test.means.get(name, nan) - beside.means[name], compared.value, abs_tol=1e-9):
                    raise ValueError(
                        f"baselines.{baseline}.differences.{name} is not the test mean less the baseline's"
                    )
        return self

    @field_serializer("certificate")
    def _what_is_said(self, certificate: Certificate) -> dict[str, Any]:
        return {**certificate.as_dict(), "metrics": list(certificate.metrics)}

    def as_dict(self) -> dict[str, Any]:
        """Plain values; what was not asked for, or is not known, is left out."""
        return self.model_dump(mode="json", exclude_none=True)


def metrics_of(
    outcome: Outcome, provenance: Provenance, sampled: Evaluation | None = None, beside: Beside = UNCOMPARED
) -> Metrics:
    """What was measured in a training; `sampled` metrics are a block of their own, and so is what stands beside it."""
    return Metrics(
        test=_measured(outcome.test),
        validation=_measured(outcome.validation),
        sampled=None if sampled is None else {"test": _sampled(sampled)},
        baselines={one.name: beside_it(one) for one in beside.yardsticks} or None,
        verdict=beside.verdict,
        test_upper_bound=dict(outcome.upper_bound) if outcome.upper_bound else None,
        best_epoch=outcome.history.best_epoch,
        epochs=len(outcome.history.epochs),
        train_seconds=round(outcome.train_seconds, 2),
        parameters=outcome.parameters,
        certificate=outcome.test.certificate,
        notes=(*outcome.prepared.notes, *outcome.history.notes),
        provenance=provenance,
    )


def _measured(evaluation: Evaluation) -> Measured:
    kinds = {
        kind: Kind(cases=part.cases, share=part.share, **part.means, intervals=dict(part.intervals))
        for kind, part in evaluation.by_target.items()
    }
    return Measured(
        **evaluation.means,
        intervals=dict(evaluation.intervals),
        ceiling=evaluation.ceiling,
        by_target=kinds or None,
    )


def _sampled(evaluation: Evaluation) -> Sampled:
    return Sampled(**dict(_measured(evaluation)), certificate=evaluation.certificate)


def beside_it(yardstick: Yardstick) -> BesideIt:
    """What stands beside a model, as it is stored."""
    differences = {
        name: Compared(value=one.value, interval=one.interval, p=one.p, corrected_p=one.corrected_p)
        for name, one in yardstick.differences.items()
    }
    return BesideIt(**dict(_measured(yardstick.evaluation)), differences=differences)

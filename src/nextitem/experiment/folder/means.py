"""What was measured on some cases, as it is stored: means over users and their intervals."""

from typing import Any, ClassVar, Self

from pydantic import ConfigDict, Field, model_serializer, model_validator

from nextitem.evaluation.by_target import Kinds
from nextitem.evaluation.certificate import Certificate
from nextitem.evaluation.evaluate import Evaluation
from nextitem.experiment.folder.provenance import Count
from nextitem.experiment.yardsticks import Yardstick
from nextitem.settings.configuration import Configuration


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


UNMEASURED = Measured(intervals={}, ceiling=0.0)
"""Of cases that were learnt: there is no metric of them."""


def measured(evaluation: Evaluation) -> Measured:
    """What was found on the cases of one part, as it is stored."""
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


def of_candidates(evaluation: Evaluation) -> Sampled:
    """The same of a ranking among candidates."""
    return Sampled(**dict(measured(evaluation)), certificate=evaluation.certificate)


def beside_it(yardstick: Yardstick) -> BesideIt:
    """What stands beside a model, as it is stored."""
    differences = {
        name: Compared(value=one.value, interval=one.interval, p=one.p, corrected_p=one.corrected_p)
        for name, one in yardstick.differences.items()
    }
    return BesideIt(**dict(measured(yardstick.evaluation)), differences=differences)

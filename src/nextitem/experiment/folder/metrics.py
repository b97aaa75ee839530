"""metrics.json: what was measured of a run, on what, and how the run was made."""

from math import isclose, nan
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_serializer, model_validator

from nextitem.evaluation.certificate import Certificate
from nextitem.evaluation.evaluate import Evaluation
from nextitem.experiment.folder.means import BesideIt, Measured, Sampled, beside_it, measured, of_candidates
from nextitem.experiment.folder.provenance import MOST, Count, Provenance
from nextitem.experiment.run import Outcome
from nextitem.experiment.yardsticks import UNCOMPARED, Beside
from nextitem.settings.configuration import Configuration
from nextitem.storage import SHA256

FORMAT: Final = 2
"""Version of what a run leaves: of metrics.json and of the folder around it. Another one is refused."""

STORE = r"^[0-9a-f]{16}$"
"""What the name of a service's database looks like."""


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
        test=measured(outcome.test),
        validation=measured(outcome.validation),
        sampled=None if sampled is None else {"test": of_candidates(sampled)},
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

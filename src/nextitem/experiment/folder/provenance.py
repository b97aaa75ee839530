"""What is shown of a run but never compared: seed, versions, hardware, time."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Any, Self

import torch
from pydantic import AfterValidator, Field

from nextitem.compute.machine import processor
from nextitem.compute.memory import most_resident
from nextitem.data.kinds import Kinds
from nextitem.data.prepare import Prepared
from nextitem.data.reading.columns import Columns
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import features_fingerprint, told, users_fingerprint
from nextitem.settings.configuration import Configuration
from nextitem.storage import SHA256
from nextitem.training.session import Session

MOST = 2**53
"""Nothing that is counted of a run is more."""
Count = Annotated[int, Field(ge=0, le=MOST)]


def _is_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


class Provenance(Configuration):
    """How a run was made."""

    seed: int = Field(ge=0, lt=2**64)
    nextitem: str
    """Version, as of the two that follow."""
    torch: str
    python: str
    device: str
    processes: Count
    threads: Count
    """Of each process, on the CPU."""
    processor: str
    peak_memory_mb: Count
    """The most that the process held."""
    started: Annotated[str, AfterValidator(_is_time)]
    """ISO 8601, to the second."""
    seconds: float = Field(ge=0)
    """From then to here: preparing, training and evaluating."""
    data: str
    """The recipe's word for the data."""
    columns: Columns | None = None
    """The columns that a file was read by, each with its name there; None of a dataset by name."""
    kinds: Kinds | None = None
    """What kinds of events meant, also where the recipe left that to a prepared folder; None where there were none."""
    rejected: dict[str, Count] = Field(default_factory=dict)
    """Rows of the file that are no events and were left out, by what is wrong with them."""
    rejected_items: dict[str, Count] = Field(default_factory=dict)
    """The same of the table of items."""
    events_sha256: str = Field(pattern=SHA256)
    """Fingerprint of all events, and of their times where the model reads them."""
    features_sha256: str | None = Field(None, pattern=SHA256)
    """Fingerprint of what is known of the items, where the model reads it; None: it does not."""
    users_sha256: str | None = Field(None, pattern=SHA256)
    """Fingerprint of what was known of the users when the model learnt from it; None: it did not."""

    @property
    def told_sha256(self) -> str:
        """Stands for all that the model was told, as `fingerprint` has it of prepared data."""
        return told(self.events_sha256, self.features_sha256, self.users_sha256)

    @property
    def moment(self) -> float:
        """When it began, in unix seconds."""
        return datetime.fromisoformat(self.started).timestamp()

    def with_left_out(self, prepared: Prepared) -> Self:
        """The same with the counts of rows that were left out of what is `prepared`."""
        rejected, of_items = dict(prepared.rejected.reasons), dict(prepared.rejected_items.reasons)
        return self.model_copy(update={"rejected": rejected, "rejected_items": of_items})


def provenance(prepared: Prepared, session: Session, started: datetime, recipe: Recipe) -> Provenance:
    """How a training of a recipe was made that ends now."""
    return Provenance(
        **_here(session, started),
        data=prepared.source.data,
        columns=prepared.columns,
        kinds=dict(prepared.log.sequences.events.kinds) or None,
        events_sha256=prepared.log.sha256(with_times=recipe.learner.reads_times),
        features_sha256=features_fingerprint(prepared.features, recipe),
        users_sha256=users_fingerprint(prepared.user_features, recipe),
    ).with_left_out(prepared)


def made_now(
    before: Provenance, events_sha256: str, features_sha256: str | None, session: Session, started: datetime
) -> Provenance:
    """How a training was made that ends now, of events that an earlier run was made of, or of these among others."""
    names = ("data", "columns", "kinds", "rejected", "rejected_items", "users_sha256")
    kept = {name: getattr(before, name) for name in names}
    return Provenance(**_here(session, started), **kept, events_sha256=events_sha256, features_sha256=features_sha256)


def _here(session: Session, started: datetime) -> dict[str, Any]:
    """Seed, versions, hardware and time."""
    return {
        "seed": session.seed,
        "nextitem": version("nextitem"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(session.device),
        "processes": session.processes.size,
        "threads": torch.get_num_threads(),
        "processor": processor(),
        "peak_memory_mb": round(most_resident() / 1e6),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
    }

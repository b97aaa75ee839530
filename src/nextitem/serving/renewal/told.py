"""What a service was told and a run has not learnt."""

from pathlib import Path

import polars as pl

from nextitem.experiment.folder.reading import Run
from nextitem.serving.store.events import IdTypes, Rules
from nextitem.serving.store.opening import untold_at
from nextitem.serving.store.untold import Untold


def untold_by(run: Run, events: Path | str) -> Untold:
    """What is in a service's database and not in a run, which may be served meanwhile. Raises as `untold_at` does."""
    users = run.items["item"] if run.users is None else run.users["user"]
    ids = IdTypes(*(str if one.dtype == pl.String else int for one in (users, run.items["item"])))
    rules = Rules(run.metrics.provenance.kinds or {}, ids)
    return untold_at(str(events), run.metrics.holds or {}, rules, run.metrics.provenance.moment)

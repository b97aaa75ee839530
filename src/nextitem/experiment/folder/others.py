"""What a run keeps of the other runs that it was made of, or taught by."""

from collections.abc import Sequence

from nextitem.experiment.folder.metrics import MadeOf
from nextitem.experiment.folder.reading import Run
from nextitem.storage import MANIFEST, sha256


def kept_of(runs: Sequence[Run]) -> tuple[MadeOf, ...]:
    """Each one's folder, what proves it, and what it reached and took."""
    return tuple(
        MadeOf(
            run=run.folder.name,
            manifest_sha256=sha256(run.folder / MANIFEST),
            recipe=run.recipe.name,
            seed=run.seed,
            best_epoch=run.metrics.best_epoch,
            train_seconds=run.metrics.train_seconds,
            validation=run.metrics.validation.means,
            test=run.metrics.test.means,
        )
        for run in runs
    )

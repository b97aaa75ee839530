"""A user taken out of a run: everything that is kept of them alone, and what cannot be taken out is said."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch

from nextitem.data.features.table import OF_USERS
from nextitem.data.prepare import SYNTHETIC
from nextitem.data.reading.frames import FRAME
from nextitem.data.reading.rejected import REJECTED, read_rejected
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.again import restore_own
from nextitem.experiment.folder.changing import changed_run
from nextitem.experiment.folder.metrics import Forgotten, Metrics
from nextitem.experiment.folder.reading import Run, read_draft
from nextitem.experiment.folder.writing import write_metrics
from nextitem.serving.ids import RawId
from nextitem.serving.indexed.stored import take_out
from nextitem.storage import write_csv, write_parquet, write_tensors
from nextitem.storage.places import what_is_at

REPORT = "report.html"
MakeReport = Callable[[Path, Scorer], None]


@dataclass(frozen=True)
class Removed:
    """What was taken out of a run."""

    events: int = 0
    """Of the stored history."""
    cases: int = 0
    """Of validation and test, with their targets."""
    has_vector: bool = False
    """Whether the model had numbers of this user alone."""
    page: str | None = None
    """What became of report.html, whose examples are histories: `made anew`, or `left out`; None: there is none."""
    was_rejected: bool = False
    """Whether rows of the log that were left out named the user; they are gone from rejected.csv."""

    had_index: bool = False
    """Whether the run had an index of its items, which went with the numbers of this user."""

    @property
    def is_nothing(self) -> bool:
        """Whether the run had nothing of the user."""
        return not (self.events or self.cases or self.has_vector)


def forget(run: Run, user: RawId, make_report: MakeReport | None = None) -> Removed:
    """Take a user out of a run, which is replaced as a whole: history, ranks, numbers of their own, and the page.

    Nothing happens where the run does not know the user. `make_report` makes the page anew, whose examples are
    histories; without it, or where it cannot, the page is left out. Weights that were learnt of many users stay, as do
    counts of items: `remains` says so. Raises ArtefactError, ConfigurationError and StorageError as `changed_run`.
    """
    is_user, users = pl.col("user").cast(pl.String) == str(user), run.users
    ranks = run.ranks if run.is_evaluated else pl.DataFrame(schema={"user": pl.String, "part": pl.String})
    cases = ranks.filter(is_user)
    history, kept = torch.zeros(0, dtype=torch.int64), run.weights
    if users is not None and len(found := users.with_row_index("number").filter(is_user)):
        history = torch.tensor(found["history"][0].to_list(), dtype=torch.int64)
        kept = run.recipe.learner.without_user(run.weights, int(found["number"][0]), history)
    if not (len(history) or cases.height):
        return Removed()
    with changed_run(run) as draft:
        if users is not None:
            write_parquet(draft / "users.parquet", users.filter(~is_user))
        if (known := run.user_features) is not None:
            write_parquet(draft / OF_USERS, known.table.filter(~is_user))
        if run.is_evaluated:
            write_parquet(draft / "ranks.parquet", ranks.filter(~is_user))
        write_tensors(draft / "model.safetensors", kept)
        has_vector = any(len(kept[name]) != len(tensor) for name, tensor in run.weights.items() if tensor.ndim)
        had_index = has_vector and take_out(draft)  # it is of the weights before
        write_metrics(draft, _counted(run.metrics, cases))
        is_named = _drop_rejected(draft, str(user))
        page = _remake(draft, make_report)
    return Removed(len(history), cases.height, has_vector, page, is_named, had_index)


def remains(run: Run, user: RawId) -> list[str]:
    """What of a user cannot be taken out of a run, and what to do about it, a sentence each."""
    said = [
        f"weights and counts that events of many users made together hold still what {user!r} did: learn them anew by "
        f"`nextitem refit {run.folder}`"
    ]
    if run.recipe.learner.has_users and run.users is None:
        said.append(
            "the run was stored without its users, so that nobody can tell which of its vectors of users was that of "
            f"{user!r}: train anew"
        )
    if run.recipe.data not in (SYNTHETIC, FRAME):
        said.append(
            f"the log that it learnt from, {run.recipe.data}, is as it was: whoever trains on it learns it again"
        )
    return said


def _counted(metrics: Metrics, cases: pl.DataFrame) -> Metrics:
    before = metrics.forgotten or Forgotten(users=1, cases=0)
    users = before.users + (metrics.forgotten is not None)
    more = cases.filter(pl.col("part") == "test").height
    return metrics.model_copy(update={"forgotten": Forgotten(users=users, cases=before.cases + more)})


def _drop_rejected(draft: Path, user: str) -> bool:
    """Whether a row that was left out of the log names the user; those that do are left out of the file as well."""
    file = draft / REJECTED
    if what_is_at(file) is None:
        return False
    table = read_rejected(file)
    is_named = pl.any_horizontal(pl.all().cast(pl.String).str.contains(rf"(?:^|\W){re.escape(user)}(?:\W|$)"))
    left = table.filter(~is_named)
    write_csv(file, left)
    return left.height < table.height


def _remake(draft: Path, make_report: MakeReport | None) -> str | None:
    """What became of the page of a run that is about to be sealed."""
    page = draft / REPORT
    if what_is_at(page) is None:
        return None
    page.unlink()
    if make_report is None:
        return "left out"
    try:
        make_report(draft, restore_own(read_draft(draft)))
    except Exception:  # a page can be made later, and the user is to be gone now
        page.unlink(missing_ok=True)
        return "left out"
    return "made anew"

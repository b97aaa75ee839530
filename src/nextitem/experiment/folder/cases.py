"""The cases that a run was asked, from what it has stored itself: for whoever has its events no more."""

from dataclasses import replace

import polars as pl
import torch
from torch import Tensor

from nextitem.data.features.layout import known_categories
from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.errors import DataError
from nextitem.experiment.folder.logs import stored_log
from nextitem.experiment.folder.reading import Run


def stored_cases(run: Run, part: str) -> Cases:
    """The `test` or `validation` cases of a run: the first events of its users' histories, and the targets after them.

    Raises DataError where the run was stored without its users, and where its cases are others by now, since users were
    taken out of it.
    """
    log, ranks = stored_log(run), run.ranks
    if "length" not in ranks.columns:
        raise DataError(f"{run.folder} does not say after which events its cases were asked; measure it on its data")
    asked = ranks.filter(pl.col("part") == part)
    users_C, targets_C = log.users.lookup(asked["user"]), log.items.lookup(asked["target"])
    if bool((users_C < 0).any()) or bool((targets_C < 0).any()):
        raise run.refused("ranks.parquet", "names users or items that the run does not have")
    views = log.sequences.select(users_C)
    lengths_C = torch.from_numpy(asked["length"].cast(pl.Int64).to_numpy(writable=True))
    if bool((lengths_C > views.lengths_U).any()):
        raise run.refused("ranks.parquet", "has cases after more events than their users have")
    histories = replace(views, stops_U=views.starts_U + lengths_C, known_counts_N=None)
    certificate, counts_N = run.metrics.certificate, torch.from_numpy(run.items["count"].to_numpy(writable=True))
    cases = Cases.of(histories, targets_C, counts_N, certificate.dataset, certificate.rule)
    if part == "test" and cases.sha256 != certificate.split:
        raise DataError(
            f"the cases that {run.folder} has stored are not those that it was measured on (sha256 "
            f"{cases.sha256[:12]}… and {certificate.split[:12]}…): users were taken out of it since"
        )
    train, categories = _learnt(log.sequences, log.users.lookup(ranks["user"]), ranks), known_categories(run.features)
    return replace(cases, train=train, categories=categories)


def _learnt(whole: Sequences, users_R: Tensor, ranks: pl.DataFrame) -> Sequences:
    """What was learnt: the events of each user before the first that was asked for."""
    lengths_R = torch.from_numpy(ranks["length"].cast(pl.Int64).to_numpy(writable=True))
    first_U = whole.lengths_U.clone().scatter_reduce(0, users_R, lengths_R, "amin")
    return replace(whole, stops_U=whole.starts_U + first_U, known_counts_N=None)

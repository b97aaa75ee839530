"""What is seen in the figures of a report, in words."""

from collections.abc import Sequence

import torch

from nextitem.evaluation.hiding import in_words
from nextitem.report.run.bands import TOP, Quality
from nextitem.report.run.evidence import Evidence
from nextitem.words import counted, percent

FEWEST = 50  # users of a band that a sentence is built on


def of_losses(run: Evidence) -> str:
    """How the losses moved, and whether validation turned; of one epoch, what they were."""
    first, last = run.epochs[0], run.epochs[-1]
    if first is last:
        checked_once = "" if last.validation_loss is None else f" and {last.validation_loss:.3f} in validation"
        return f"Mean loss per target position: {last.train_loss:.3f} in training{checked_once}."
    sentence = (
        f"Mean loss per target position. In training it goes from {first.train_loss:.3f} to {last.train_loss:.3f}"
    )
    checked = [(line.validation_loss, line.epoch) for line in run.epochs if line.validation_loss is not None]
    if not checked:
        return f"{sentence}."
    lowest, epoch = min(checked)
    sentence += f"; in validation it is lowest at epoch {epoch} ({lowest:.3f})"
    risen = checked[-1][0] - lowest
    return (
        f"{sentence} and {risen:.3f} above that at the end."
        if risen >= 0.0005
        else f"{sentence} and no higher at the end."
    )


def of_learning(runs: Sequence[Evidence], metric: str) -> str:
    """Which epoch of each run counts."""
    best = {run.label: run.metrics.best_epoch for run in runs}
    if len(runs) == 1:
        run = runs[0]
        value = run.epochs[run.metrics.best_epoch - 1].validation.get(metric)
        reached = "" if value is None else f": {value:.4f} on the validation cases looked at in training"
        return (
            f"The weights of epoch {run.metrics.best_epoch} of {run.metrics.epochs} are kept{reached}. Test "
            f"cases chose nothing."
        )
    marked = ", ".join(f"{label} {epoch}" for label, epoch in best.items())
    return f"Marked is the epoch whose weights are kept: {marked}."


def of_lists(hidden: str) -> str:
    """Which items no example recommends, by what was hidden in the ranking too."""
    if hidden == "nothing":
        return "Items of the history may be recommended again."
    of = in_words(hidden).removesuffix(" hidden").replace("history", "the history")
    return f"Items of {of} are never recommended."


def of_ranks(run: Evidence, is_one_of_many: bool) -> str:
    """How many targets rank among the first ten, and where the middle one is."""
    share = unbroken(run.means([f"hit_rate@{TOP}"])[0])
    middle = float(torch.quantile(run.rank_C, 0.5, interpolation="lower"))
    rest = "more than half repeat the history" if middle == float("inf") else f"half within the first {middle:,.0f}"
    averaged = f" (averaged {said})" if (said := run.metrics.certificate.averaged) else ""
    if is_one_of_many:
        return f"{run.label}: {share} among the first {TOP}, {rest}."
    return (
        f"{share} of {len(run.cases):,} targets{averaged} rank among the first {TOP} of {run.catalogue:,} items, "
        f"{rest}. A random order would put {unbroken(min(1.0, TOP / run.catalogue), 2)} there."
    )


def unbroken(share: float, decimals: int = 1) -> str:
    """A share in per cent that no line breaks."""
    return percent(share, decimals, "\u00a0")


def of_hit_rates(runs: Sequence[Evidence]) -> str:
    """Which run finds most among ten and among a thousand."""
    if len(runs) == 1:
        return "Share of test targets among the first k (hit rate at k), beside that of a random order."
    highest = []
    for k in (TOP, min(100 * TOP, runs[0].catalogue)):
        shares = {run.label: run.means([f"hit_rate@{k}"])[0] for run in runs}
        first = max(shares, key=lambda label: shares[label])
        highest.append(f"{first} with {unbroken(shares[first])} among the first {k:,}")
    return f"Share of test targets among the first k (hit rate at k). Most are found by {' and by '.join(highest)}."


def of_quality(found: Sequence[tuple[str, object, Sequence[Quality]]], what: str) -> str:
    """For whom the run is best and worst; of several, which is best for how many bands."""
    sentence = f"NDCG@10 and its 95\u00a0% interval by {what}."
    if len(found) == 1:
        bands = found[0][2]
        large = [band for band in bands if band.cases >= FEWEST] or list(bands)
        if len(bands) == 1:  # whose users are all users, and whose value is that of the whole
            return f"{sentence} All {counted(bands[0].cases, 'case')} are in one band, {bands[0].band}."
        best, worst = (choose(large, key=lambda band: band.ndcg) for choose in (max, min))
        among = "From" if len(large) == len(bands) else f"Of bands with at least {FEWEST} cases, from"
        return (
            f"{sentence} {among} {worst.ndcg:.3f} at {worst.band} ({counted(worst.cases, 'case')}) to {best.ndcg:.3f} "
            f"at {best.band} ({counted(best.cases, 'case')})."
        )
    columns = zip(*([band.ndcg for band in bands] for _, _, bands in found), strict=True)
    first = [found[max(range(len(column)), key=lambda place: column[place])][0] for column in columns]
    counts = ", ".join(f"{label} for {first.count(label)}" for label in dict.fromkeys(first))
    return f"{sentence} Highest of {len(first)} bands: {counts}."

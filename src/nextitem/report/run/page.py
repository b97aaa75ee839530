"""report.html: runs as one page that needs no network and no script."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from markupsafe import Markup
from matplotlib.figure import Figure

from nextitem.evaluation.hiding import in_words
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.folder.reading import read_draft
from nextitem.experiment.presets import load_preset
from nextitem.experiment.repetition import remaking_command, unchanged_preset
from nextitem.report.look import look, name_of_metric
from nextitem.report.pictures import Pictures, style_sheet
from nextitem.report.run import captions, drawings
from nextitem.report.run.bands import Quality, quality, rank_bands, rank_shares
from nextitem.report.run.beside import counted as counted_beside
from nextitem.report.run.evidence import Evidence
from nextitem.report.run.examples import examples
from nextitem.report.run.targets import by_target
from nextitem.settings.keys import settings_of
from nextitem.storage import refusals, whole_file, write_text
from nextitem.words import NOTHING, epoch_of, filled, interval, time_taken, written

REPORT = "report.html"
_KEY = ("ndcg@10", "hit_rate@10")
_PARTS = (  # a column of the cases, the title, the axis, and what it is in a sentence
    ("length", "length of history", "events in the history", "the number of events before the target"),
    ("trained", "popularity of the target", "training events of the target", "how often the target occurs in training"),
)


def report_page(runs: Sequence[Evidence], scorers: Sequence[Scorer]) -> str:
    """The page about one run, or about several of equal certificates (`comparable`), with their models in that order.

    Equal runs give equal text. Where a run has no histories there are no examples.
    """
    with look():
        content = _head(runs) | _figures(runs) | _made(runs)
    has_histories = all(run.has_histories for run in runs)
    content |= {
        "version": version("nextitem"),
        "style": style_sheet(),
        "targets": by_target(runs),
        "examples": examples(runs, scorers) if has_histories else None,
        "left_out": captions.of_lists(runs[0].metrics.certificate.hidden),
        "has_histories": has_histories,
        "without_histories": ", ".join(run.label for run in runs if not run.has_histories),
        "has_titles": bool(runs[0].titles),
    }
    return filled("report/run/templates/report.html.j2", content)


def write_report(runs: Sequence[Evidence], scorers: Sequence[Scorer], file: Path) -> None:
    """Write the page. Raises StorageError."""
    text = report_page(runs, scorers)
    with refusals(file), whole_file(file) as draft:
        write_text(draft, text)


def report_into(folder: Path, scorer: Scorer) -> None:
    """Write report.html into the folder of a run, about that run and with the model it has. Raises StorageError."""
    write_report([Evidence.of(read_draft(folder))], [scorer], folder / REPORT)


def _head(runs: Sequence[Evidence]) -> dict[str, Any]:
    """Title, the first sentence, the numbers that matter, and the table of metrics."""
    first = runs[0].metrics.certificate
    setting = f"{first.asked}, ranking of {'all ' if first.ranking == 'full' else ''}"
    setting += f"{first.candidates:,} items, {in_words(first.hidden)}"
    if len(runs) > 1:
        lead = f"{len(runs)} models measured on the same: {setting}."
        title = f"Models on {first.dataset}"
        return {"title": title, "lead": lead, "key": [], "quality": _beside(runs), "counted": None}
    (run,) = runs
    what = run.recipe.learner.described(run.metrics.parameters, run.metrics.epochs)
    lead = f"{what} Measured on {setting}."
    title = f"{run.label} on {first.dataset}"
    quality, counting = _metrics(run), counted_beside(run)
    return {"title": title, "lead": lead, "key": _key(run), "quality": quality, "counted": counting}


def _key(run: Evidence) -> list[tuple[str, str, str]]:
    """(name, value, what stands below it) of the numbers that matter."""
    test = run.metrics.test.means
    numbers = [(name_of_metric(name), f"{test[name]:.4f}", _interval(run, name)) for name in _KEY if name in test]
    bound = (run.metrics.test_upper_bound or {}).get("ndcg@10")
    if bound:
        numbers.append(("of the upper bound", captions.unbroken(test["ndcg@10"] / bound, 0), f"NDCG@10 {bound:.4f}"))
    if run.epochs:
        kept = run.metrics.best_epoch, run.metrics.epochs
        numbers.append((f"{run.recipe.learner.training.kept_epoch} epoch", f"{kept[0]}", f"of {kept[1]}"))
        numbers.append(("training", time_taken(run.metrics.train_seconds), "without validation"))
    return numbers


def _metrics(run: Evidence) -> dict[str, Any]:
    """Validation and test values of one run, beside published ones where there are any."""
    published = _published(run)
    head = ["metric", "test", "95 % interval", "validation", *(["published"] if published else [])]
    rows = []
    for name in run.metrics.certificate.metrics:
        cells = [name_of_metric(name), f"{run.metrics.test.means[name]:.4f}", _interval(run, name)]
        cells.append(f"{run.metrics.validation.means[name]:.4f}")
        if published:
            cells.append(f"{published[name]:.4f}" if name in published else "")
        rows.append({"cells": cells, "is_best": False, "paint": None})
    return {"head": head, "rows": rows, "note": _note(run)}


def _beside(runs: Sequence[Evidence]) -> dict[str, Any]:
    """One row a run, and columns for what is asked first."""
    head = [
        "model",
        "NDCG@10",
        "95 % interval",
        "HR@10",
        "95 % interval",
        "best epoch",
        "training",
        "weights",
        "memory",
    ]
    best = max(run.metrics.test.means["ndcg@10"] for run in runs)
    rows = []
    for run, style in zip(runs, drawings.styles(runs), strict=True):
        test, metrics = run.metrics.test.means, run.metrics
        cells = [
            run.label,
            *(text for name in _KEY for text in (f"{test[name]:.4f}", _interval(run, name))),
            epoch_of(metrics.best_epoch, metrics.epochs),
            time_taken(metrics.train_seconds) if run.epochs else NOTHING,
            written(metrics.parameters or None, ","),
            f"{metrics.provenance.peak_memory_mb:,} MB",
        ]
        rows.append({"cells": cells, "is_best": test["ndcg@10"] == best, "paint": style["color"]})
    note = f"Intervals cover the choice of users, not that of the seed. {_note(runs[0])}"
    return {"head": head, "rows": rows, "note": note}


def _note(run: Evidence) -> str:
    ceiling = run.metrics.test.ceiling
    over = "users of the mean over their test cases" if run.metrics.certificate.averaged else "test cases"
    sentence = f"Values are means over {over}; the interval is a bootstrap over "
    sentence += "users. " if run.metrics.certificate.averaged else "them. "
    sentence += "Equal scores count in expectation over a random order. "
    if ceiling == 1:
        return sentence + "Every target occurs in training."
    return sentence + (
        f"{captions.unbroken(1 - ceiling, 2)} of the targets occur in no training event or are hidden themselves: a "
        f"model that knows items by id alone cannot hit them."
    )


def _published(run: Evidence) -> Mapping[str, float]:
    preset = unchanged_preset(run.recipe)
    return {} if preset is None else load_preset(preset).published.get(run.recipe.data, {})


def _figures(runs: Sequence[Evidence]) -> dict[str, Any]:
    """All figures with what is seen in them."""
    draw = Pictures()

    def shown(figure: Figure, caption: str) -> dict[str, Any]:
        # What matplotlib writes is svg; the caption in it is escaped.
        return {"svg": Markup(draw(figure, caption)), "caption": caption}

    parts = []
    for column, title, axis, what in _PARTS:
        if all(column in run.cases.columns for run in runs):
            found = _quality(runs, column)
            figure = drawings.quality_by(f"NDCG@10 by {title}", axis, found)
            groups = [(label, bands) for label, _, bands in found]
            parts.append({"name": axis, "groups": groups, "figure": shown(figure, captions.of_quality(found, what))})
    learning, ranks = ([shown(*one) for one in drawn] for drawn in (_learning(runs), _ranks(runs)))
    return {"learning": learning, "ranks": ranks, "parts": parts}


def _learning(runs: Sequence[Evidence]) -> list[tuple[Figure, str]]:
    """Learning curves with their captions; none where all runs are baselines."""
    trained = [run for run in runs if run.epochs]
    if not trained:
        return []
    metric = trained[0].recipe.learner.training.monitor
    watched = [run for run in trained if not run.recipe.learner.learns_validation]
    losses = [(drawings.loss_curves(run), captions.of_losses(run)) for run in runs if len(runs) == 1]
    if not watched:
        return losses
    curve = (drawings.learning(watched, metric), captions.of_learning(watched, metric))
    if losses:
        return [curve, *losses]
    seconds = "The same against seconds of optimisation, each on its own machine and without validation."
    return [curve, (drawings.learning(watched, metric, "seconds"), seconds)]


def _ranks(runs: Sequence[Evidence]) -> list[tuple[Figure, str]]:
    """Where the targets rank, with captions."""
    bands = rank_bands(runs[0].catalogue)
    shares = [
        (run.label, style, rank_shares(run.ranks, bands))
        for run, style in zip(runs, drawings.styles(runs), strict=True)
    ]
    caption = " ".join(captions.of_ranks(run, len(runs) > 1) for run in runs)
    return [
        (drawings.rank_histogram(bands, shares), caption),
        (drawings.hit_rates(runs), captions.of_hit_rates(runs)),
    ]


def _quality(runs: Sequence[Evidence], column: str) -> list[tuple[str, drawings.Style, list[Quality]]]:
    numbers = [torch.from_numpy(run.cases[column].to_numpy(writable=True)) for run in runs]
    return [
        (run.label, style, quality(run.ranks, run.catalogue, numbers_C))
        for run, style, numbers_C in zip(runs, drawings.styles(runs), numbers, strict=True)
    ]


def _made(runs: Sequence[Evidence]) -> dict[str, Any]:
    """Commands, settings and provenance of every run, and their certificate."""
    return {
        "certificate": [(key, _plain(value)) for key, value in runs[0].metrics.certificate.as_dict().items()],
        "runs": [
            {
                "label": run.label,
                "command": remaking_command(run),
                "is_made_of_runs": bool(run.metrics.made_of or run.metrics.chosen_by),
                "notes": run.metrics.notes,
                "settings": _settings(run),
            }
            for run in runs
        ],
    }


def _settings(run: Evidence) -> list[tuple[str, list[tuple[str, str]]]]:
    """The recipe section by section, then provenance."""
    plain, sections = [], dict[str, list[tuple[str, str]]]()
    for key, value in settings_of(run.recipe).items():
        section, _, name = key.partition(".")
        if name:
            sections.setdefault(section, []).append((name, _plain(value)))
        elif value is not None:
            plain.append((key, _plain(value)))
    provenance = [(key.replace("_", " "), _plain(value)) for key, value in run.metrics.provenance]
    return [("recipe", plain), *sections.items(), ("provenance: shown, never compared", provenance)]


def _plain(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)


def _interval(run: Evidence, metric: str) -> str:
    return interval(run.metrics.test.intervals[metric])

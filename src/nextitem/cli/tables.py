"""What several verbs print: the table of a comparison, that of a plan, and what a prepared folder holds."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from nextitem.cli.console import Sheet, show, show_json, show_prose, show_table
from nextitem.data.mapped.manifest import Manifest
from nextitem.engine.entries import Contestant
from nextitem.errors import TrainingError
from nextitem.evaluation.evaluate import Evaluation
from nextitem.evaluation.paired import RESAMPLES, Difference
from nextitem.experiment.plan.plan import Plan
from nextitem.studies.comparison import Comparison, as_dict
from nextitem.studies.forecast import Line, ReproductionPlan
from nextitem.words import CEILING, KINDS, NOTHING, amount, counted, duration, interval, percent, written


def show_comparison(comparison: Comparison, *, as_json: bool) -> None:
    """The comparison on stdout: as JSON, as a table on a terminal, as plain lines elsewhere."""
    if as_json:
        show_json(as_dict(comparison))
        return
    header, rows = comparison_cells(comparison)
    if Console().is_terminal:
        sheet = Sheet(_title(comparison), header, left=("recipe",), caption=comparison.resampled)
        for row in rows:
            sheet.add(*row)
        show_table(sheet)
        return
    show(_title(comparison))
    lines = [[cell.replace("\n", " ") for cell in row] for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        show("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    show(comparison.resampled)


def fail_if_any_failed(comparison: Comparison, others: Sequence[str] = ()) -> None:
    """Raise TrainingError, after the table, where a training of the comparison or one of `others` failed."""
    failures = [*comparison.failures, *others]
    if failures:
        many = counted(len(failures), "training")
        raise TrainingError(f"{many} failed, and the table is without: {'; '.join(failures)}")


def _title(comparison: Comparison) -> str:
    certificate = comparison.certificate
    where = ""
    if certificate is not None:
        where = f" on {certificate.dataset}: {certificate.asked}, "
        where += f"{counted(certificate.candidates, 'item')}, {certificate.ranking} ranking"
    return f"comparison{where}; differences to {comparison.against}"


def comparison_cells(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of the table as text; a cell may have two lines."""
    header = ["recipe", "seeds"]
    for metric in comparison.metrics:
        header += [metric, f"difference\nin {metric}"]
    header += ["training s", "best epoch", "s to 95 %", "peak MB", "parameters"]
    return header, [_cells_of(row, comparison) for row in comparison.rows]


def _cells_of(row: Contestant, comparison: Comparison) -> list[str]:
    seeds = (
        f"{len(row.runs)}" if not row.failures else f"{len(row.runs)} of {len(row.runs) + len(row.failures)}, failed"
    )
    texts = [row.label, seeds]
    for metric in comparison.metrics:
        cell = comparison.cells.get(row.label, {}).get(metric)
        if cell is None:
            texts += [NOTHING, NOTHING]
            continue
        texts += [
            f"{cell.mean:.4f}\n({interval(cell.interval)})",
            NOTHING if cell.difference is None else _difference(cell.difference),
        ]
    return [
        *texts,
        written(row.train_seconds, ",.0f"),
        " ".join(str(epoch) for epoch in row.best_epochs) or NOTHING,
        written(row.seconds_to_nearly_best, ",.0f"),
        written(row.peak_memory_mb, ","),
        written(row.parameters, ","),
    ]


def _difference(difference: Difference) -> str:
    """A difference with its interval and corrected p-value, on two lines."""
    return f"{difference.value:+.4f}, p {difference.corrected_p:.2g}\n({interval(difference.interval, '+.4f')})"


def show_evaluation(measured: Evaluation, title: str) -> None:
    """What was measured on stdout: each metric with its interval, the ceiling, and the kinds of targets apart."""
    table = Sheet(title, ("metric", "value", "95 % interval"), left=("metric",))
    for name, value in measured.means.items():
        table.add(name, f"{value:.4f}", interval(measured.intervals[name]))
    table.section()
    table.add("ceiling", f"{measured.ceiling:.4f}", "")
    apart = measured.certificate.diversity
    table.caption = CEILING + (f" Items of a list are told apart by {apart}." if apart else "")
    show_table(table)
    show_kinds(measured)


def show_differences(other: Evaluation, tested: Mapping[str, Difference], name: str) -> None:
    """By how much something is better than a model on the same users, on stdout."""
    table = Sheet(
        f"less {name}, paired by user", ("metric", name, "difference", "95 % interval", "p"), left=("metric",)
    )
    for metric, one in tested.items():
        cells = f"{one.value:+.4f}", interval(one.interval, "+.4f"), f"{one.corrected_p:.2g}"
        table.add(metric, f"{other.means[metric]:.4f}", *cells)
    table.caption = f"{RESAMPLES:,} bootstrap resamples of users; p by Holm over {counted(len(tested), 'metric')}"
    show_table(table)


def show_kinds(measured: Evaluation) -> None:
    """Warm, cold and repeated targets apart, on stdout: how many there are, and each metric of ranks."""
    kinds = measured.by_target
    table = Sheet("by kind of target", ("metric", *kinds), left=("metric",))
    table.add("cases", *(f"{one.cases:,}" for one in kinds.values()))
    table.add("share", *(percent(one.share, 2) for one in kinds.values()))
    table.section()
    for name in measured.certificate.metrics:
        if any(name in one.means for one in kinds.values()):
            table.add(
                name,
                *(
                    f"{one.means[name]:.4f}\n({interval(one.intervals[name])})" if name in one.means else NOTHING
                    for one in kinds.values()
                ),
            )
    table.caption = KINDS
    show_table(table)


def show_plan(forecast: ReproductionPlan, title: str, *, as_json: bool) -> None:
    """Time and memory of each training on stdout."""
    if as_json:
        show_json(forecast.as_dict())
        return
    columns = ("recipe", "epochs", "s/epoch", "here", "memory", "PFLOP", "on a GPU, estimated", "GPU memory")
    table = Sheet(title, columns, left=("recipe",))
    for line in forecast.lines:
        table.add(*_planned(line, forecast))
    table.section()
    on_gpu = [seconds for line in forecast.lines if (seconds := forecast.gpu_seconds(line)) is not None]
    here = sum(line.seconds or 0.0 for line in forecast.lines)
    table.add("all of these", "", "", duration(here), "", "", duration(sum(on_gpu)) if on_gpu else NOTHING, "")
    show_table(table)
    for line in forecast.lines:
        if line.problem:
            show_prose(f"{line.label}: {line.problem}")
    show_prose(forecast.explained)


def plan_sheet(planned: Plan) -> Sheet:
    """What a training takes, in seconds and bytes, part by part."""
    title = f"{planned.recipe.name} on {planned.recipe.data}"
    table = Sheet(title, ("what", "how much", "share"), left=("what",))
    table.add("positions per epoch", f"{planned.work.positions:,}", "")
    table.add("steps per epoch", f"{planned.work.steps:,}", "")
    if planned.block_rows is not None:
        table.add("positions in a block of the loss", f"{planned.block_rows:,}", "")
    for title, parts, told in (
        ("seconds per epoch", planned.seconds, "{:.3g}".format),
        ("peak memory", planned.memory, amount),
    ):
        whole = sum(parts.values())
        table.section()
        table.add(title, told(whole), "100 %")
        for name, part in parts.items():
            table.add(f"  {name}", told(part), percent(part / max(whole, 1e-9)))
    if planned.available is not None:
        table.caption = f"{amount(planned.available)} of memory are available"
    return table


def _planned(line: Line, forecast: ReproductionPlan) -> list[str]:
    if line.plan is None or line.seconds is None:
        return [line.label, *[NOTHING] * 2, "not planned", "does not fit" if line.problem else NOTHING, *[NOTHING] * 3]
    on_gpu = forecast.gpu_seconds(line)
    return [
        line.label,
        str(line.epochs),
        f"{line.plan.seconds_per_epoch:,.{0 if line.plan.seconds_per_epoch >= 10 else 2}f}",
        duration(line.seconds),
        amount(line.plan.peak),
        f"{line.flops / 1e15:.3g}",
        NOTHING if on_gpu is None else f"{duration(on_gpu)}{' (published)' if line.published_seconds else ''}",
        amount(line.gpu_bytes),
    ]


def show_manifest(manifest: Manifest, folder: Path, fact: str, *, as_json: bool) -> None:
    """What a prepared folder holds, and the fact that it was asked for, on stdout."""
    if as_json:
        show_json(manifest.model_dump(mode="json"))
        return
    whose = f"{counted(manifest.users, 'user')} and {counted(manifest.items, 'item')}"
    counts = f"{counted(manifest.events, 'event')} of {whose}"
    show(f"{fact}: {folder} ({counts})")

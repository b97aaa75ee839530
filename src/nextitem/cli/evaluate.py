"""`nextitem evaluate`: the metrics of a stored run, measured anew."""

from enum import StrEnum
from typing import Annotated

import typer

from nextitem.cli.console import Sheet, say, show_json, show_table
from nextitem.cli.options import AsJson, Hide, RunFolder, seed_of, stored_run
from nextitem.cli.tables import show_kinds
from nextitem.compute.waiting import told_if_slow
from nextitem.evaluation.metrics import DEFAULT_METRICS, SAMPLED_METRICS
from nextitem.evaluation.ranking import Ranking
from nextitem.experiment.again import evaluate_again
from nextitem.experiment.folder.reading import MODEL
from nextitem.words import CEILING, interval


class HeldOut(StrEnum):
    """Which held-out cases."""

    TEST = "test"
    VALIDATION = "validation"


def evaluate(
    run_folder: RunFolder,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Other test cases for the same training: split.target=all."),
    ] = None,
    part: Annotated[HeldOut, typer.Option(help="Which cases.")] = HeldOut.TEST,
    data: Annotated[str | None, typer.Option(help="Where that data is now, if not where it was.")] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help=f"Comma-separated, such as ndcg@5,hit_rate@20. Default: {','.join(DEFAULT_METRICS)}."),
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option(help="Rank among drawn negatives only, as older papers do: popularity:100 or uniform:100."),
    ] = None,
    seed: Annotated[int, seed_of("these negatives")] = 0,
    hide: Hide = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a stored run again, on the data it was trained on: on its own test cases, or on others of its split."""
    default = DEFAULT_METRICS if candidates is None else SAMPLED_METRICS
    names = [*default] if metrics is None else [name.strip() for name in metrics.split(",")]
    stored = stored_run(run_folder, MODEL)
    hidden = stored.recipe.hide if hide is None else hide
    ranking = Ranking(hidden) if candidates is None else Ranking.among(candidates, seed, hidden=hidden)
    with told_if_slow(f"measuring {run_folder} on {data or stored.recipe.data}", say):
        measured = evaluate_again(stored, part.value, names, data, ranking=ranking, overrides=overrides or ())
    if as_json:
        # What is sampled stands apart, where nobody takes it for a full ranking.
        block = {part.value: measured.as_dict()}
        content = block if candidates is None else {"sampled": block}
        show_json({**content, "run": str(run_folder), "recipe": stored.recipe.name})
        return
    title = f"{stored.recipe.name} on {stored.recipe.data}, {measured.certificate.asked.replace('test', part.value)}"
    title += "" if candidates is None else f", each target among {measured.certificate.candidates - 1} drawn items only"
    table = Sheet(title, ("metric", "value", "95 % interval"), left=("metric",))
    for name, value in measured.means.items():
        table.add(name, f"{value:.4f}", interval(measured.intervals[name]))
    table.section()
    table.add("ceiling", f"{measured.ceiling:.4f}", "")
    table.caption = CEILING
    show_table(table)
    show_kinds(measured)

"""`nextitem evaluate`: the metrics of a stored run, or of anybody's lists, on the same road."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import say, show_json, show_prose
from nextitem.cli.options import AsJson, Hide, OnBadRows, path_to, seed_of, stored_run, write_rejected
from nextitem.cli.tables import show_differences, show_evaluation
from nextitem.compute.waiting import told_if_slow
from nextitem.data.acquisition.addresses import folder_at
from nextitem.data.checkup.asked import asked_from
from nextitem.data.reading.lists import ListColumns
from nextitem.errors import ConfigurationError
from nextitem.evaluation.evaluate import Evaluation
from nextitem.evaluation.metrics import DEFAULT_METRICS, SAMPLED_METRICS
from nextitem.evaluation.ranking import Ranking
from nextitem.experiment.again import evaluate_again
from nextitem.experiment.folder.reading import MODEL, Run
from nextitem.experiment.recommendations import Judged, evaluate_against, evaluate_recommendations
from nextitem.settings.given import expanded, is_address
from nextitem.words import counted


class HeldOut(StrEnum):
    """Which held-out cases."""

    TEST = "test"
    VALIDATION = "validation"


def evaluate(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN] [KEY=VALUE]...",
            help="Folder or address of a run, and other test cases for the same training (split.target=all); or, of "
            "lists alone, their data and split (data=events.csv split=temporal).",
        ),
    ] = None,
    recommendations: Annotated[
        Path | None, path_to("File of anybody's lists (users, items, ranks or scores), to be measured on these cases.")
    ] = None,
    columns: Annotated[str, typer.Option(help="Columns of that file: user=visitor,item=sku,rank=place.")] = "",
    on_bad_rows: OnBadRows = None,
    rejected: Annotated[Path | None, path_to("Csv to write rows of that file to that were skipped.")] = None,
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
    """Evaluate a stored run again, on the data it was trained on, or lists that anybody made on its cases."""
    folder, overrides = _parted(words or [])
    default = DEFAULT_METRICS if candidates is None else SAMPLED_METRICS
    names = [*default] if metrics is None else [name.strip() for name in metrics.split(",")]
    if recommendations is not None:
        _refuse_candidates(candidates)
        given = f"{columns},on_bad_rows={on_bad_rows}" if on_bad_rows else columns
        asked = _Lists(recommendations, ListColumns.parse(given), names, part, hide, data, overrides)
        judged, where = asked.alone() if folder is None else asked.beside(folder)
        _show_judged(judged, where, asked, as_json=as_json)
        if rejected is not None:
            write_rejected(rejected, judged.rejected)
        return
    about = {"--columns": columns, "--on-bad-rows": on_bad_rows, "--rejected": rejected}
    if folder is None or any(about.values()):
        said = " and ".join(option for option, value in about.items() if value)
        wrong = f"{said} are about --recommendations FILE" if said else "no run is named"
        raise ConfigurationError(
            f"{wrong}; give the folder of a run, or --recommendations FILE with a run or with data=…"
        )
    run = stored_run(folder, MODEL)
    hidden = run.recipe.hide if hide is None else hide
    ranking = Ranking(hidden) if candidates is None else Ranking.among(candidates, seed, hidden=hidden)
    with told_if_slow(f"measuring {folder} on {data or run.recipe.data}", say):
        measured = evaluate_again(run, part.value, names, data, ranking=ranking, overrides=overrides)
    _show_measured(measured, run, part, is_sampled=candidates is not None, as_json=as_json)


def _parted(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The folder of a run, where the first word is no setting, and the settings."""
    if words and (is_address(words[0].partition("=")[0]) or "=" not in words[0] or expanded(words[0]).exists()):
        return folder_at(words[0]), list(words[1:])
    return None, list(words)


def _show_measured(measured: Evaluation, run: Run, part: HeldOut, *, is_sampled: bool, as_json: bool) -> None:
    if as_json:
        # What is sampled stands apart, where nobody takes it for a full ranking.
        block = {part.value: measured.as_dict()}
        content = {"sampled": block} if is_sampled else block
        show_json({**content, "run": str(run.folder), "recipe": run.recipe.name})
        return
    title = f"{run.recipe.name} on {run.recipe.data}, {measured.certificate.asked.replace('test', part.value)}"
    title += f", each target among {measured.certificate.candidates - 1} drawn items only" if is_sampled else ""
    show_evaluation(measured, title)


def _refuse_candidates(candidates: str | None) -> None:
    if candidates is not None:
        raise ConfigurationError(
            f"--candidates {candidates}: lists that were made elsewhere are no scores of drawn items; leave it out"
        )


@dataclass(frozen=True)
class _Lists:
    """A file of lists, and how it is to be measured."""

    file: Path
    columns: ListColumns
    metrics: Sequence[str]
    part: HeldOut
    hide: str | None
    data: str | None
    overrides: Sequence[str]

    def alone(self) -> tuple[Judged, Mapping[str, str]]:
        """Measured on the cases of data and a split that the settings name, and what these are."""
        given = [word.partition("=")[2] for word in self.overrides if word.startswith("data=")]
        given += [] if self.data is None else [self.data]
        if len(given) != 1:
            fact = "data are given more than once" if given else "nobody says on which data"
            raise ConfigurationError(
                f"--recommendations {self.file}: {fact}; name a run, or data=events.csv and its split, such as "
                f"split=temporal"
            )
        asked = asked_from([word for word in self.overrides if not word.startswith("data=")])
        where = str(expanded(given[0])) if given[0].startswith("~") else given[0]
        source, ranking = asked.source(where), Ranking(self.hide or asked.hide or "history")
        with told_if_slow(f"measuring {self.file} on {source.data}", say):
            judged = evaluate_recommendations(
                self.file, source, self.metrics, columns=self.columns, ranking=ranking, part=self.part.value
            )
        return judged, {"data": source.data}

    def beside(self, folder: Path) -> tuple[Judged, Mapping[str, str]]:
        """Measured on the cases of a run and beside it, and which one that is."""
        run = stored_run(folder, MODEL)
        with told_if_slow(f"measuring {self.file} beside {folder}", say):
            judged = evaluate_against(
                self.file, run, self.metrics, columns=self.columns,
                ranking=None if self.hide is None else Ranking(self.hide),
                part=self.part.value, data=self.data, overrides=self.overrides,
            )  # fmt: skip
        return judged, {"run": str(folder), "recipe": run.recipe.name}


def _show_judged(judged: Judged, where: Mapping[str, str], asked: _Lists, *, as_json: bool) -> None:
    for note in judged.notes:
        say(f"note: {note}")
    if as_json:
        show_json({asked.part.value: judged.as_dict(), "recommendations": str(asked.file), **where})
        return
    certificate = judged.evaluation.certificate
    title = f"{asked.file.name} on {certificate.dataset}, {certificate.asked.replace('test', asked.part.value)}"
    show_evaluation(judged.evaluation, title)
    found = judged.matched
    show_prose(f"{counted(found.rows + len(judged.rejected), 'row')} in the file, {found.used:,} of them used.")
    if judged.run is not None and judged.differences:
        show_differences(judged.run, judged.differences, where["recipe"])

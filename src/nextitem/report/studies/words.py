"""What the pages about studies say alike."""

from nextitem.data.datasets import DATASETS
from nextitem.evaluation.hiding import in_words
from nextitem.studies.comparison import Comparison
from nextitem.words import counted

_MOST_OF_A_TITLE = 40  # characters


def title_of(data: str) -> str:
    """What readers call a dataset; what was not published keeps its own name, as far as it fits above a figure."""
    if data in DATASETS:
        return DATASETS[data].title
    return data if len(data) <= _MOST_OF_A_TITLE else f"{data[: _MOST_OF_A_TITLE - 1]}…"


def measured_on(comparison: Comparison) -> str:
    """What the numbers were measured on, in a sentence."""
    certificate = comparison.certificate
    if certificate is None:
        return "No run was finished."
    rule = f" By the rule: {certificate.rule}." if certificate.rule else ""
    return (
        f"{counted(certificate.cases, 'test case')}, {counted(certificate.candidates, 'item')}, "
        f"{certificate.ranking} ranking, {in_words(certificate.hidden)}, split `{certificate.split[:12]}…`.{rule}"
    )


def where_made(comparison: Comparison) -> list[str]:
    """When and on what the runs were made, with each different machine once; no sentence where there is no run."""
    provenances = [run.metrics.provenance for row in comparison.rows for run in row.runs]
    if not provenances:
        return []
    machines = dict.fromkeys(
        f"nextitem {one.nextitem}, torch {one.torch}, {one.device}, {counted(one.threads, 'thread')}, {one.processor}"
        for one in provenances
    )
    days = sorted(one.started[:10] for one in provenances)
    return [f"Runs of {' to '.join(dict.fromkeys((days[0], days[-1])))}: {'; '.join(machines)}."]

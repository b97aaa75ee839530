"""How good runs are for warm, cold and repeated targets, as a table of the page."""

from collections.abc import Sequence
from typing import Any

from nextitem.report.look import name_of_metric
from nextitem.report.run.evidence import Evidence
from nextitem.words import KINDS, NOTHING, interval, percent

_KEY = "ndcg@10"


def by_target(runs: Sequence[Evidence]) -> dict[str, Any] | None:
    """Head and rows: of one run every metric, of several NDCG@10 of each; None where a run tells no kinds apart."""
    kinds = [run.metrics.test.by_target for run in runs]
    if not kinds[0] or not all(kinds):
        return None
    names = [f"{kind} ({one.cases:,}, {percent(one.share, 1)})" for kind, one in kinds[0].items()]
    if len(runs) == 1:
        told = [(name_of_metric(name), runs[0], name) for name in runs[0].metrics.certificate.metrics]
    else:
        told = [(run.label, run, _KEY) for run in runs]
    rows = [(label, *_cells(run, metric)) for label, run, metric in told]
    return {"head": ["metric" if len(runs) == 1 else name_of_metric(_KEY), *names], "rows": rows, "note": KINDS}


def _cells(run: Evidence, metric: str) -> list[str]:
    return [
        f"{one.means[metric]:.4f} ({interval(one.intervals[metric])})" if metric in one.means else NOTHING
        for one in (run.metrics.test.by_target or {}).values()
    ]

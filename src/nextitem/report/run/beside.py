"""What counting alone reaches on the test cases of a run, as the page and the table of its metrics show it."""

from typing import Any

from nextitem.experiment.yardsticks import DECIDING, RULE
from nextitem.report.look import name_of_metric
from nextitem.report.run.evidence import Evidence
from nextitem.words import interval

_SHOWN = (DECIDING, "hit_rate@10")


def counted(run: Evidence) -> dict[str, Any] | None:
    """The table of baselines beside the run's metrics, with the verdict; None where none were measured."""
    baselines = run.metrics.baselines
    if not baselines:
        return None
    shown = [name for name in _SHOWN if name in run.metrics.certificate.metrics]
    head = ["baseline", *map(name_of_metric, shown)]
    head += [f"the model’s difference in {name_of_metric(DECIDING)}", "95 % interval", "p"]
    rows = []
    for name, found in baselines.items():
        difference = found.differences[DECIDING]
        cells = [name.replace("_", "-"), *(f"{found.means[metric]:.4f}" for metric in shown)]
        cells += [f"{difference.value:+.4f}", interval(difference.interval, "+.4f"), f"{difference.corrected_p:.2g}"]
        rows.append(cells)
    return {"head": head, "rows": rows, "verdict": run.metrics.verdict, "note": RULE}

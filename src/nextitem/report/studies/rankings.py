"""What `study sampled-metrics` leaves: how sampled and full ranking order the same runs, as one whole folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nextitem.evaluation.candidates import Candidates
from nextitem.report.look import write_svg
from nextitem.report.studies.orders import orders as drawn_orders
from nextitem.storage import whole_folder
from nextitem.studies.rankings import Disagreement


def as_dict(found: Mapping[str, Disagreement], metric: str, command: str) -> dict[str, Any]:
    """Everything as plain values, by kind of candidates."""
    return {"metric": metric, "command": command, "candidates": {text: asdict(one) for text, one in found.items()}}


def write(folder: Path, found: Mapping[str, Disagreement], metric: str, command: str) -> None:
    """results.md, table.json and orders.svg, in place of an earlier folder of that name. Raises StorageError."""
    with whole_folder(folder, replace=True) as draft:
        first = next(iter(found.values()))
        write_svg(drawn_orders(first.full, {text: one.sampled for text, one in found.items()}), draft / "orders.svg")
        (draft / "table.json").write_text(
            json.dumps(as_dict(found, metric, command), indent=2) + "\n", encoding="utf-8"
        )
        text = (
            f"# Sampled and full ranking\n\n```bash\n{command}\n```\n\n{page(found, metric)}\n\n![orders](orders.svg)\n"
        )
        (draft / "results.md").write_text(text, encoding="utf-8")


def page(found: Mapping[str, Disagreement], metric: str) -> str:
    """Markdown: places by each ranking, values by either kind in tables of their own, and where the orders differ."""
    first = next(iter(found.values()))
    label = {text: Candidates.parse(text).label for text in found}
    places = {metric: first.full} | {f"{metric}[{label[text]}]": one.sampled for text, one in found.items()}
    sampled = {name: values for name, values in places.items() if name != metric}
    note = (
        "Intervals are of users. *Surely*: in neither ranking does the pair's 95 % interval hold 0; each pair is "
        "looked at for itself, without a correction for their number. Nothing here speaks of other training seeds."
    )
    return "\n\n".join(
        [
            "Places, best by full ranking first:",
            _table({name: _places(values) for name, values in places.items()}),
            "By full ranking:",
            _table({metric: _values(first.full)}),
            "Among drawn items only, which compares with nothing above:",
            _table({name: _values(values) for name, values in sampled.items()}),
            _differences(found),
            note,
        ]
    )


def _places(values: Mapping[str, float]) -> dict[str, str]:
    order = sorted(values, key=lambda model: -values[model])
    return {model: str(order.index(model) + 1) for model in values}


def _values(values: Mapping[str, float]) -> dict[str, str]:
    return {model: f"{value:.4f}" for model, value in values.items()}


def _table(columns: Mapping[str, Mapping[str, str]]) -> str:
    """One row per model, in the order of the first column."""
    rows = ["| model |" + "".join(f" {name} |" for name in columns), "|---|" + "---:|" * len(columns)]
    for model in next(iter(columns.values())):
        rows.append(f"| `{model}` | {' | '.join(cells[model] for cells in columns.values())} |")
    return "\n".join(rows)


def _differences(found: Mapping[str, Disagreement]) -> str:
    """One row per kind of candidates: how far its order is the full one, and which pairs it flips."""
    rows = [
        "| candidates | Kendall's τ (95 % interval) | pairs flipped | of these surely | which |",
        "|---|---|---|---|---|",
    ]
    for text, one in found.items():
        flipped = [pair for pair in one.pairs if pair.is_flipped]
        which = "; ".join(
            f"`{p.other}` over `{p.better}`: {-p.sampled:+.4f} ({-p.sampled_interval[1]:+.4f} – "
            f"{-p.sampled_interval[0]:+.4f}), full {-p.full:+.4f} ({-p.full_interval[1]:+.4f} – "
            f"{-p.full_interval[0]:+.4f})"
            for p in flipped
        )
        low, high = one.tau_interval
        sure = sum(pair.is_sure for pair in flipped)
        rows.append(
            f"| {text} | {one.tau:.2f} ({low:.2f} – {high:.2f}) | {len(flipped)} of {len(one.pairs)} | {sure} | "
            f"{which or '–'} |"
        )
    return "\n".join(rows)

"""What `study sampled-metrics` leaves: how sampled and full ranking order the same runs, as one whole folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nextitem.disagreement import Disagreement
from nextitem.report.look import write_svg
from nextitem.report.orders import orders as drawn_orders
from nextitem.whole_folder import whole


def as_dict(found: Mapping[str, Disagreement], metric: str, command: str) -> dict[str, Any]:
    """Everything as plain values, by kind of candidates."""
    return {"metric": metric, "command": command, "candidates": {text: asdict(one) for text, one in found.items()}}


def write(folder: Path, found: Mapping[str, Disagreement], metric: str, command: str) -> None:
    """results.md, table.json and orders.svg, in place of an earlier folder of that name. Raises StorageError."""
    with whole(folder) as draft:
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
    """Both tables as Markdown: values with places, and where the orders differ."""
    note = (
        "Intervals are of users. *Surely*: in neither ranking does the pair's 95 % interval hold 0; each pair is "
        "looked at for itself, without a correction for their number. Nothing here speaks of other training seeds."
    )
    return f"{_values(found, metric)}\n\n{_differences(found)}\n\n{note}"


def _values(found: Mapping[str, Disagreement], metric: str) -> str:
    """One row per model, best by full ranking first; in brackets its place in each order."""
    first = next(iter(found.values()))
    rows = [f"| model | {metric} |" + "".join(f" {metric}[{text}] |" for text in found)]
    rows.append("|---|" + "---:|" * (len(found) + 1))
    for place, (model, value) in enumerate(first.full.items(), 1):
        cells = [f"{value:.4f} ({place})"]
        for one in found.values():
            order = sorted(one.sampled, key=lambda name: -one.sampled[name])
            cells.append(f"{one.sampled[model]:.4f} ({order.index(model) + 1})")
        rows.append(f"| `{model}` | {' | '.join(cells)} |")
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

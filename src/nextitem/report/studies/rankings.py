"""What `study sampled-metrics` leaves: how sampled and full ranking order the same runs, as one whole folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nextitem.evaluation.candidates import Candidates
from nextitem.report.look import write_svg
from nextitem.report.studies.orders import orders as drawn_orders
from nextitem.storage import whole_folder, write_text
from nextitem.studies.rankings import Disagreement
from nextitem.words import NOTHING, filled, with_interval


def as_dict(disagreements: Mapping[str, Disagreement], metric: str, command: str) -> dict[str, Any]:
    """Everything as plain values, by kind of candidates."""
    return {
        "metric": metric,
        "command": command,
        "candidates": {text: asdict(one) for text, one in disagreements.items()},
    }


def write(folder: Path, disagreements: Mapping[str, Disagreement], metric: str, command: str) -> None:
    """results.md, table.json and orders.svg, in place of an earlier folder of that name. Raises StorageError."""
    with whole_folder(folder, replace=True) as draft:
        first = next(iter(disagreements.values()))
        write_svg(
            drawn_orders(first.full, {text: one.sampled for text, one in disagreements.items()}), draft / "orders.svg"
        )
        write_text(draft / "table.json", json.dumps(as_dict(disagreements, metric, command), indent=2) + "\n")
        text = filled("report/studies/templates/rankings.md", {"command": command, **_content(disagreements, metric)})
        write_text(draft / "results.md", text)


def orders_page(disagreements: Mapping[str, Disagreement], metric: str) -> str:
    """Markdown: places by each ranking, values by either kind in tables of their own, and where the orders differ."""
    return filled("report/studies/templates/orders.md", _content(disagreements, metric)).removesuffix("\n")


def _content(disagreements: Mapping[str, Disagreement], metric: str) -> dict[str, Any]:
    """What the templates ask for."""
    full = next(iter(disagreements.values())).full
    sampled = {f"{metric}[{Candidates.parse(text).label}]": one.sampled for text, one in disagreements.items()}
    return {
        "models": list(full),
        "places": {name: _places(values) for name, values in ({metric: full} | sampled).items()},
        "full": {metric: _values(full)},
        "sampled": {name: _values(values) for name, values in sampled.items()},
        "kinds": [_kind(text, one) for text, one in disagreements.items()],
        "nothing": NOTHING,
    }


def _places(values: Mapping[str, float]) -> dict[str, str]:
    order = sorted(values, key=lambda model: -values[model])
    return {model: str(order.index(model) + 1) for model in values}


def _values(values: Mapping[str, float]) -> dict[str, str]:
    return {model: f"{value:.4f}" for model, value in values.items()}


def _kind(candidates: str, one: Disagreement) -> dict[str, Any]:
    """How far the order among these candidates is the full one, and which pairs it flips."""
    flipped = [pair for pair in one.pairs if pair.is_flipped]
    return {
        "candidates": candidates,
        "tau": one.tau,
        "tau_interval": one.tau_interval,
        "pairs": len(one.pairs),
        "sure": sum(pair.is_sure for pair in flipped),
        "flipped": [
            {
                "first": pair.other,
                "second": pair.better,
                "sampled": _turned(pair.sampled, pair.sampled_interval),
                "full": _turned(pair.full, pair.full_interval),
            }
            for pair in flipped
        ],
    }


def _turned(difference: float, bounds: tuple[float, float]) -> str:
    """The difference of the other one to the first, with its interval."""
    low, high = bounds
    return with_interval(-difference, (-high, -low), "+.4f")

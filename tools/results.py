"""The table and the figure of docs/results.md, from the folders of finished runs.

    python tools/results.py runs/*                                 the table, as Markdown
    python tools/results.py runs/*-ml-1m --figure docs/ml-1m.svg   and validation NDCG@10 by epoch, of one dataset

Published values are those that the recipes state.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from nextitem.finished_runs import deciding
from nextitem.recipe import Recipe, load_preset, preset_names, resolve_recipe
from nextitem.report.figures import Curve, by_epoch
from nextitem.report.look import write_svg
from nextitem.reproduction_page import TITLES

ORDER = ("sasrec-ce", "sasrec-3000", "gru4rec", "bert4rec", "sasrec-bce")


def read(folder: Path) -> dict[str, Any]:
    """What the table and the figure need of a run."""
    recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    published = load_preset(recipe["name"]).published if is_preset(recipe) else {}
    return {
        "recipe": recipe["name"],
        "data": recipe["data"],
        "metrics": metrics,
        "history": [json.loads(line) for line in lines],
        "published": published.get(recipe["data"], {}),
    }


def is_preset(recipe: dict[str, Any]) -> bool:
    """Whether nothing but the data was changed: only then do published values belong beside the run."""
    if recipe["name"] not in preset_names():
        return False
    preset = resolve_recipe(load_preset(recipe["name"]), [f"data={recipe['data']}"]).value
    # A setting that a run does not know of yet has the default that is what was done without it.
    stored = Recipe.model_validate_json(json.dumps(recipe))
    return deciding(stored) == deciding(preset)


def table(runs: list[dict[str, Any]]) -> str:
    """One Markdown row per run, ours beside the published values."""
    rows = [
        "| data | recipe | NDCG@10 (95 % interval) | published | HR@10 | published | best epoch | published | "
        "training | peak memory |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        metrics, published, test = run["metrics"], run["published"], run["metrics"]["test"]
        low, high = test["intervals"]["ndcg@10"]
        made = metrics["provenance"]
        cells = [
            run["data"],
            f"`{run['recipe']}`",
            f"{test['ndcg@10']:.4f} ({low:.4f} – {high:.4f})",
            beside(test["ndcg@10"], published.get("ndcg@10")),
            f"{test['hit_rate@10']:.4f}",
            beside(test["hit_rate@10"], published.get("hit_rate@10")),
            f"{metrics['best_epoch']} of {metrics['epochs']}" if metrics["epochs"] else "–",
            str(published.get("best_epoch", "–")),
            f"{metrics['train_seconds']:,.0f} s" if metrics["epochs"] else "–",
            f"{made['peak_memory_mb'] / 1000:.1f} GB" if "peak_memory_mb" in made else "–",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def beside(ours: float, published: float | None) -> str:
    """The published value and how far ours is from it."""
    return "–" if published is None else f"{published:.4f} ({ours / published - 1:+.1%})"


def figure(runs: list[dict[str, Any]], file: Path) -> None:
    """Validation NDCG@10 by epoch, one line per run with its best epoch marked."""
    curves = [
        Curve(
            run["recipe"],
            [line["validation"]["ndcg@10"] for line in run["history"]],
            [line["train_seconds"] for line in run["history"]],
            [line["train_loss"] for line in run["history"]],
            [line["validation_loss"] for line in run["history"]],
            run["metrics"]["best_epoch"],
        )
        for run in runs
        if run["recipe"] in ORDER
    ]
    write_svg(by_epoch(curves, TITLES.get(runs[0]["data"], runs[0]["data"])), file)


def main() -> None:
    """Read the runs, print the table, draw the figure where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    runs = [read(folder) for folder in arguments.runs]
    runs.sort(key=lambda run: (run["data"], ORDER.index(run["recipe"]) if run["recipe"] in ORDER else -1))
    print(table(runs))
    if arguments.figure is not None:
        figure(runs, arguments.figure)


if __name__ == "__main__":
    main()

"""The table and the figure of docs/results.md, from the folders of finished runs.

    python tools/results.py runs/*                                 the table, as Markdown
    python tools/results.py runs/*-ml-1m --figure docs/ml-1m.svg   and validation NDCG@10 by epoch, of one dataset

Published values are those that the recipes state.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from nextitem.recipe import Recipe, load_preset, preset_names, resolve_recipe

# Okabe & Ito's colours, which stay apart for colour-blind readers; one per recipe wherever it appears.
COLOURS = {"sasrec-ce": "#0072B2", "sasrec-3000": "#009E73", "bert4rec": "#D55E00", "sasrec-bce": "#CC79A7"}
LABELS = {
    "sasrec-ce": "SASRec+ (softmax)",
    "sasrec-3000": "SASRec+ 3000",
    "bert4rec": "BERT4Rec",
    "sasrec-bce": "SASRec (BCE, 1 negative)",
}


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


def deciding(recipe: Recipe) -> dict[str, Any]:
    """The settings that are in use and change more than rounding."""
    settings = recipe.in_use()
    chunks = {"block_rows", "tile_items"}
    loss = {key: value for key, value in settings.get("loss", {}).items() if key not in chunks}
    return {**settings, "loss": loss}


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
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10, "svg.hashsalt": "nextitem"})
    drawing = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = drawing.add_subplot()
    for run in (run for run in runs if run["recipe"] in COLOURS):
        name = run["recipe"]
        epochs = [line["epoch"] for line in run["history"]]
        values = [line["validation"]["ndcg@10"] for line in run["history"]]
        best = run["metrics"]["best_epoch"]
        label = f"{LABELS[name]}: test {run['metrics']['test']['ndcg@10']:.3f}"
        axes.plot(epochs, values, color=COLOURS[name], linewidth=1.8, label=label)
        axes.plot(best, values[best - 1], "o", color=COLOURS[name], markersize=6)
    axes.legend(loc="lower right", frameon=False, title="best epoch marked", alignment="left")
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation NDCG@10")
    axes.set_ylim(0, 1.05 * axes.dataLim.ymax)
    axes.margins(x=0.02)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    first = runs[0]["metrics"]["certificate"]
    axes.set_title(
        f"{runs[0]['data']}: {first['cases']:,} users, {first['candidates']:,} items, full ranking", loc="left"
    )
    drawing.savefig(file, metadata={"Date": None})


def main() -> None:
    """Read the runs, print the table, draw the figure where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    runs = [read(folder) for folder in arguments.runs]
    order = [*LABELS]
    runs.sort(key=lambda run: (run["data"], order.index(run["recipe"]) if run["recipe"] in order else -1))
    print(table(runs))
    if arguments.figure is not None:
        figure(runs, arguments.figure)


if __name__ == "__main__":
    main()

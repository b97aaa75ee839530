"""README.md of a run folder: what the model is, what it was measured on, how to use it."""

from collections.abc import Mapping
from typing import Any

from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome


def model_card(recipe: Recipe, outcome: Outcome, metrics: Mapping[str, Any]) -> str:
    """The model card as Markdown."""
    split, log, made = outcome.prepared.split, outcome.prepared.log, metrics["provenance"]
    kind = recipe.baseline.name if recipe.baseline else f"{recipe.encoder.name}, {recipe.loss.name}"
    learning = f"trained on {len(log.users):,} users with seed {made['seed']}: "
    learning += f"best of {metrics['epochs']} epochs is {metrics['best_epoch']}"
    if recipe.baseline and recipe.baseline.made_by == "library":
        learning = f"trained on {len(log.users):,} users with seed {made['seed']}"
    elif not recipe.is_fitted:
        learning = f"counted on the training events of {len(log.users):,} users"
    intervals = outcome.test.intervals
    rows = [
        f"| {name} | {outcome.validation.means[name]:.4f} | {value:.4f} | {intervals[name][0]:.4f} – "
        f"{intervals[name][1]:.4f} |"
        for name, value in outcome.test.means.items()
    ]
    return "\n".join(
        [
            f"# {recipe.name} on {outcome.prepared.source.name}",
            "",
            f"Next-item recommender ({kind}) over {len(log.items):,} items, {learning}.",
            "",
            "| metric | validation | test | 95 % interval over users |",
            "|---|---|---|---|",
            *rows,
            "",
            f"{recipe.split.describe()}, {len(split.test):,} test cases, ranking over the full catalogue with the "
            f"history hidden, ties in expectation. {1 - outcome.test.ceiling:.2%} of the test targets cannot be hit "
            f"by a model of ids alone.",
            "",
            *(f"- {note}" for note in outcome.prepared.notes),
            "",
            "Use it: `nextitem recommend <this folder> --users USER --k 10`, or in Python "
            "`Recommender.load('<this folder>').recommend(users=[...], k=10)`.",
            "",
            f"Made with nextitem {made['nextitem']}, torch {made['torch']}, {made['device']}, {made['threads']} "
            f"threads, {made['processor']}, {made['started']}. Every file's sha256 is in manifest.json.",
            "",
        ]
    )

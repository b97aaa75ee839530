"""README.md of a run folder: what the model is, what it was measured on, how to use it."""

from nextitem.evaluation.hiding import in_words
from nextitem.experiment.folder.metrics import Metrics
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome
from nextitem.experiment.yardsticks import DECIDING, RULE
from nextitem.words import filled


def model_card(recipe: Recipe, outcome: Outcome, metrics: Metrics) -> str:
    """The model card as Markdown."""
    prepared, test, parts = outcome.prepared, outcome.test, recipe.learner.parts
    content = {
        "name": recipe.name,
        "data": test.certificate.dataset,
        "kind": ", ".join(dict.fromkeys((parts[0], parts[-1]))),
        "is_counted": not metrics.parameters,
        "depends_on_seed": recipe.learner.depends_on_seed,
        "epochs": metrics.epochs,
        "best_epoch": metrics.best_epoch,
        "users": len(prepared.log.users),
        "items": len(prepared.log.items),
        "validation": outcome.validation.means,
        "test": test.means,
        "intervals": test.intervals,
        "ceiling": test.ceiling,
        "hidden": in_words(test.certificate.hidden).replace("history", "the history"),
        "split": recipe.split.describe(),
        "asked": test.certificate.asked,
        "baselines": metrics.baselines,
        "deciding": DECIDING,
        "verdict": metrics.verdict,
        "rule": RULE,
        "what": recipe.learner.described(metrics.parameters, metrics.epochs),
        "made_of": metrics.made_of,
        "notes": metrics.notes,
        "made": metrics.provenance,
    }
    return filled("experiment/folder/templates/card.md", content)

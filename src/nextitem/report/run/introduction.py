"""What a model is, in the sentence that its page begins with."""

from nextitem.experiment.recipe import Recipe


def introduced(recipe: Recipe, parameters: int, epochs: int) -> str:
    """Of what the model is made, and how it was trained."""
    baseline = recipe.baseline
    size = f"{parameters:,} weights"
    if baseline is None:
        parts = f"Encoder {_words(recipe.encoder.name)}, objective {_words(recipe.objective.name)}"
        return f"{parts}, {_trained(recipe)}; {size}, {epochs} epochs."
    name = _words(baseline.name)
    return (
        f"Baseline {name}, {'which only counts' if baseline.made_by == 'counts' else f'trained by a library; {size}'}."
    )


def _trained(recipe: Recipe) -> str:
    loss = f"loss {_words(recipe.loss.name)}"
    return loss if recipe.negatives is None else f"{loss}, {recipe.negatives.described()}"


def _words(name: str) -> str:
    return name.replace("_", " ")

"""The verb `recipes`: those that come with the package, or one of them as a file."""

from typing import Annotated

import typer

from nextitem.cli.console import Sheet, show_data, show_json, show_table
from nextitem.cli.options import AsJson
from nextitem.experiment.presets import load_preset, preset_names, recipe_text


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(help="A recipe to print as a file, to be changed; none: a list of the built-in ones."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the built-in recipes, or print one as a file to make one's own of."""
    asked = preset_names() if name is None else [name]
    if as_json:
        show_json({"recipes": [_as_dict(one) for one in asked]})
    elif name is not None:
        show_data(recipe_text(name))
    else:
        table = Sheet(
            "Built-in recipes", ("recipe", "what it is"), left=("recipe", "what it is"), prose=("what it is",)
        )
        for one in asked:
            table.add(one, load_preset(one).summary)
        table.caption = "`nextitem train RECIPE data=FILE` trains one, `nextitem recipes RECIPE` prints its file"
        show_table(table)


def _as_dict(name: str) -> dict[str, object]:
    preset = load_preset(name)
    return {
        "name": name,
        "summary": preset.summary,
        "source": preset.source,
        "settings": preset.settings,
        "profiles": preset.profiles,
    }

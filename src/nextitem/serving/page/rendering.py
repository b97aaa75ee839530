"""Templates to HTML: one environment for all, since making one takes as long as filling a hundred pages."""

from collections.abc import Mapping
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from nextitem.words import counted, visible


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("nextitem.serving.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Titles are other people's text: what would turn the order of what stands beside them is written out.
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.globals["counted"] = counted
    return environment


def rendered(template: str, content: Mapping[str, object]) -> str:
    """The text of a template. Raises jinja2's UndefinedError where the content lacks what the template asks for."""
    return _environment().get_template(template).render(content)

"""The strings under fields, read from the source when somebody asks: a refusal, or the page of all settings.

pydantic's `use_attribute_docstrings` reads them as each class is made, which was a tenth of the time that
`import nextitem` takes.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


@cache
def meanings(kind: type) -> Mapping[str, str]:
    """What the string under each field of a class says, on one line; its parents' fields too, unless it has its own.

    Fields without one are left out, and so are all of a class whose source is not at hand.
    """
    found: dict[str, str] = {}
    for parent in reversed(kind.__mro__):
        if parent not in (object, BaseModel):
            found |= _own(parent)
    return found


def _own(kind: type) -> dict[str, str]:
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):  # typed into an interpreter, or made by a program
        return {}
    tree = ast.parse(textwrap.dedent(source)).body[0]
    found = {}
    for field, below in pairwise(tree.body if isinstance(tree, ast.ClassDef) else []):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                if not ast.unparse(field.annotation).startswith("ClassVar"):
                    found[name] = " ".join(text.split())
    return found

"""Next-item recommendation you can trust: from a log of events to a recommender, with numbers that can be checked.

These names are the package, in the order of the road: data, the shelves that a model is put together from, training,
experiment, evaluation, studies, serving, and what can go wrong. Everything else is internal: it may move or change in
any version.
"""

from importlib import import_module

TYPE_CHECKING = False  # type checkers take it for true, and `typing` is spared
if TYPE_CHECKING:
    from nextitem.public import *  # noqa: F403
    from nextitem.public import __all__ as __all__

    __version__: str
else:  # all that stands behind them takes two seconds to import, which `nextitem --help` should not wait

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return import_module("importlib.metadata").version("nextitem")
        if not name.startswith("__") or name == "__all__":  # import itself asks for such as __path__
            public = import_module("nextitem.public")
            if name == "__all__" or name in public.__all__:
                found = globals()[name] = getattr(public, name)
                return found
        raise AttributeError(f"module 'nextitem' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), "__version__", *import_module("nextitem.public").__all__})

"""`nextitem mcp`: a run as tools for assistants."""

from importlib.metadata import version

from nextitem.cli.console import say
from nextitem.cli.options import RunToRead, stored_run
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.reading import LISTS
from nextitem.serving.recommender import Recommender


def mcp(run_folder: RunToRead) -> None:
    """Answer assistants over the Model Context Protocol on stdin and stdout: recommend, similar, explain.

    Such as `claude mcp add films -- nextitem mcp runs/RUN`. It ends when stdin does.
    """
    try:
        from nextitem.serving.assistants import server
    except ImportError as error:
        raise ConfigurationError(
            f"mcp needs a package that is not installed ({error}); run: pip install 'nextitem[mcp]'"
        ) from error
    recommender = Recommender.from_run(stored_run(run_folder, LISTS))
    say(f"serving {run_folder} to whoever is at the other end of stdin and stdout")
    server(recommender, version("nextitem")).run("stdio")

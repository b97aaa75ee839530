"""`nextitem serve`: recommendations over HTTP."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import show
from nextitem.cli.options import path_to
from nextitem.settings.given import expanded


def serve(
    run_folders: Annotated[list[Path], typer.Argument(parser=expanded, metavar="RUN…", help="Folders of runs.")],
    events: Annotated[
        Path | None, path_to("Database of events and catalogue changes; made where there is none.")
    ] = None,
    token_file: Annotated[
        Path | None, path_to("File with the token that callers must bring; default: the variable NEXTITEM_TOKEN.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0: any that is free.")] = 8000,
) -> None:
    """Answer over HTTP: recommendations from the models of runs, until SIGTERM or Ctrl-C."""
    # Here, because nobody who is told of a mistake of typing should wait for a server's libraries.
    from nextitem.serving.page.routes import with_page
    from nextitem.serving.service.app import create_app
    from nextitem.serving.service.listening import address_of, listen, listener
    from nextitem.serving.service.models import Models, ids_of
    from nextitem.serving.service.security import token_of
    from nextitem.serving.service.service import Service
    from nextitem.serving.service.settings import ServiceSettings
    from nextitem.serving.store.store import EventStore

    settings = ServiceSettings(host=host, port=port)
    token = token_of(token_file, settings)
    opened = listener(settings)
    address, models = address_of(opened), Models.load(run_folders)
    with ExitStack() as held:
        store = None
        if events is not None:
            known = models.first.recommender
            store = held.enter_context(EventStore.open(events, kinds=known.kinds, ids=ids_of(known)))
        service = Service(models, settings, store)
        listen(with_page(create_app(service, token), service), opened, service, lambda: show(address))

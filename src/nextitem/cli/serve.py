"""`nextitem serve`: recommendations over HTTP."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import show
from nextitem.cli.options import path_to, store_at
from nextitem.errors import ConfigurationError
from nextitem.serving.service.settings import ServiceSettings
from nextitem.settings.given import place_of

_USUAL = ServiceSettings()


def serve(
    run_folders: Annotated[
        list[str],
        typer.Argument(
            parser=place_of, metavar="RUN…", help="Runs, or folders of versions of one; folders or addresses (s3://…)."
        ),
    ],
    events: Annotated[
        str | None,
        store_at("Database of events and catalogue changes, made where there is none: file, postgresql://…."),
    ] = None,
    token_file: Annotated[
        Path | None, path_to("File with the token that callers must bring; default: the variable NEXTITEM_TOKEN.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0: any that is free.")] = 8000,
    shares: Annotated[
        str | None,
        typer.Option(help="Shares of the users that each run answers, such as 0.9,0.1; default: equal ones."),
    ] = None,
    queue: Annotated[
        int, typer.Option(min=1, max=100_000, help="Questions that may wait for the model; more are refused (503).")
    ] = _USUAL.queue,
    wait: Annotated[
        float, typer.Option(max=60, help="Seconds that a question may be expected to wait; more are refused (503).")
    ] = _USUAL.wait,
    batch: Annotated[
        int, typer.Option(min=1, max=1024, help="Questions that the model answers in one pass at most.")
    ] = _USUAL.batch,
    deadline: Annotated[
        float, typer.Option(max=60, help="Seconds after which the most popular items are the answer, labelled.")
    ] = _USUAL.deadline,
    model_threads: Annotated[
        int, typer.Option(min=1, max=1024, help="CPU threads that the model computes with.")
    ] = _USUAL.threads,
    reload_every: Annotated[
        float | None,
        typer.Option(max=86_400, help="Seconds between two looks for newer versions; default: nobody looks."),
    ] = None,
    log_ids: Annotated[bool, typer.Option("--log-ids", help="Name users in log lines; no ids otherwise.")] = False,
) -> None:
    """Answer over HTTP: recommendations from the models of runs, until SIGTERM or Ctrl-C."""
    # Here, because nobody who is told of a mistake of typing should wait for a server's libraries.
    from nextitem.serving.page.routes import with_page
    from nextitem.serving.service.app import create_app
    from nextitem.serving.service.listening import address_of, listen, listener
    from nextitem.serving.service.models import Models, ids_of
    from nextitem.serving.service.security import token_of
    from nextitem.serving.service.service import Service
    from nextitem.serving.store.opening import open_store

    settings = ServiceSettings(
        host=host,
        port=port,
        queue=queue,
        wait=wait,
        batch=batch,
        deadline=deadline,
        threads=model_threads,
        reload_every=reload_every,
        log_ids=log_ids,
    )
    token = token_of(token_file, settings)
    with ExitStack() as held:
        opened = held.enter_context(listener(settings))
        address, models, store = address_of(opened), Models.load(run_folders, _numbers(shares)), None
        if events is not None:
            known = models.first.recommender
            store = held.enter_context(open_store(events, kinds=known.kinds, ids=ids_of(known)))
        service = Service(models, settings, store)
        listen(with_page(create_app(service, token), service), opened, service, lambda: show(address))


def _numbers(shares: str | None) -> list[float]:
    try:
        return [] if shares is None else [float(one) for one in shares.split(",")]
    except ValueError:
        raise ConfigurationError(f"--shares {shares} should be numbers between commas, such as 0.9,0.1") from None

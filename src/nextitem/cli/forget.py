"""The verb `forget`: a user taken out of a run, and out of the database of a service."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nextitem.cli.console import say, show, show_json
from nextitem.cli.options import AsJson, RunFolder, make_report, store_at, stored_run
from nextitem.compute.waiting import told_if_slow
from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment.folder.reading import LISTS, Run
from nextitem.serving.ids import RawId
from nextitem.serving.renewal.forget import Removed, remains
from nextitem.serving.renewal.forget import forget as forget_user
from nextitem.settings.given import is_address, without_password
from nextitem.storage.places import what_is_at
from nextitem.words import counted


def forget(
    run_folder: RunFolder,
    user: Annotated[str, typer.Option(help="The user, by the id that the log has.")],
    events: Annotated[str | None, store_at("Database of a service, from which the user is deleted as well.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take a user out of a run, and out of the events of a service; what cannot be taken out is said."""
    if not user.strip():
        raise ConfigurationError("--user is blank; give the id of a user")
    run = stored_run(run_folder, LISTS)
    if events is not None and not is_address(events) and what_is_at(Path(events)) is None:
        raise ArtefactError(f"there is no {events}; give the database that `nextitem serve --events` made")
    deleted = 0 if events is None else _deleted(events, _as_stored(run, user))
    with told_if_slow("writing the run without the user", say):
        removed = forget_user(run, user, make_report)
    left = [] if removed.is_nothing else remains(run, user)
    for sentence in left:
        say(f"note: {sentence}")
    if as_json:
        show_json(_as_dict(run, user, removed, deleted, left, has_store=events is not None))
        return
    show(f"run: {run.folder}: {_told(removed)}")
    if events is not None:
        show(f"events: {without_password(events)}: {counted(deleted, 'event')} deleted")


def _as_stored(run: Run, user: str) -> RawId:
    """The id as the run has it: a number, where its users are numbers."""
    users = run.users["user"] if run.users is not None else run.ranks["user"]
    return int(user) if users.dtype.is_integer() and user.strip().lstrip("-").isdecimal() else user


def _deleted(events: str, user: RawId) -> int:
    """How many events of the user the database had."""
    from nextitem.serving.store.opening import open_store

    with open_store(events) as store:
        return store.forget(user)


def _told(removed: Removed) -> str:
    if removed.is_nothing:
        return "it knows no such user, and is as it was"
    said = [f"{counted(removed.events, 'event')} and {counted(removed.cases, 'case')} removed"]
    said += ["numbers that the model had of this user alone removed"] if removed.has_vector else []
    said += ["rows of rejected.csv removed"] if removed.was_rejected else []
    said += ["its index taken out, which `nextitem index` makes anew"] if removed.had_index else []
    said += [f"report.html {removed.page}"] if removed.page else []
    return ", ".join(said)


def _as_dict(
    run: Run, user: str, removed: Removed, deleted: int, left: list[str], *, has_store: bool
) -> dict[str, Any]:
    return {
        "run": str(run.folder),
        "user": user,
        "was_known": not removed.is_nothing,
        "events": removed.events,
        "cases": removed.cases,
        "has_vector": removed.has_vector,
        "page": removed.page,
        "had_index": removed.had_index,
        "deleted_from_store": deleted if has_store else None,
        "remains": left,
    }

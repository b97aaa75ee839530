"""All events that a run has stored, as a log to learn from again."""

from dataclasses import replace

from nextitem.data.log import Catalog, Log
from nextitem.errors import DataError
from nextitem.experiment.folder.histories import histories_of
from nextitem.experiment.folder.reading import Run


def stored_log(run: Run) -> Log:
    """The log that a run was made of, test events included, without those of users that were taken out of it.

    It is the very one where nobody was: its fingerprint is that of the provenance. Raises DataError for a run that was
    stored without its users.
    """
    if run.users is None:
        raise DataError(
            f"{run.folder} was stored without its users, so their events are not there to be learnt again; train anew "
            f"without --no-users"
        )
    sequences = histories_of(run.users, len(run.items))
    kinds = run.metrics.provenance.kinds or {}
    sequences = replace(sequences, events=replace(sequences.events, kinds=kinds))
    return Log(sequences, Catalog(run.users["user"]), Catalog(run.items["item"]))

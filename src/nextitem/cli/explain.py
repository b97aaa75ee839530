"""`nextitem explain`: why a list is what it is."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from nextitem.cli.console import Sheet, say, show_json, show_table
from nextitem.cli.options import (
    AsJson,
    Candidates,
    Exclude,
    Hide,
    RunToRead,
    Where,
    ids_between_commas,
    ids_in,
    narrowing_ids,
    stored_run,
)
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.reading import LISTS
from nextitem.serving.explaining.explanation import Carrier, Explained, Explanation
from nextitem.serving.ids import RawId
from nextitem.serving.question import Answer, Question, Terms
from nextitem.serving.recommender import Recommender
from nextitem.words import counted

_CARRIERS = 3  # of an item that are shown to eyes; JSON has all
_ITEMS = Annotated[list[str] | None, typer.Option(help="Explain this item instead of the list; may be repeated.")]


_User = Annotated[str | None, typer.Option(help="A user of the run, by the stored history.")]
_History = Annotated[
    str | None,
    typer.Option(help="Items, the oldest first: ids between commas, or a file of them. With --user: new ones."),
]
_Times = Annotated[
    str | None, typer.Option(help="When these were, unix seconds between commas; for models that read times.")
]
_Without = Annotated[list[str] | None, typer.Option(help="What if this item were not in the history; may be repeated.")]
_Added = Annotated[
    list[str] | None, typer.Option("--with", help="What if this item came after the history; may be repeated.")
]
_K = Annotated[int, typer.Option("--k", "-k", min=1, help="Length of the list.")]


def explain(
    run_folder: RunToRead,
    user: _User = None,
    history: _History = None,
    times: _Times = None,
    item: _ITEMS = None,
    without: _Without = None,
    added: _Added = None,
    k: _K = 10,
    candidates: Candidates = None,
    exclude: Exclude = None,
    where: Where = None,
    hide: Hide = None,
    as_json: AsJson = False,
) -> None:
    """Which items of a history carry each recommendation, what was left out and why, and what if."""
    if user is None and history is None:
        raise ConfigurationError("give --user ID, --history ITEMS, or both")
    named = {option: ids.to_list() for option, ids in narrowing_ids(candidates, exclude).items()}
    question = Question(
        () if history is None else ids_in(history, "item", "--history").to_list(),
        times=None if times is None else _seconds(times),
        user=user,
        k=k,
        terms=Terms(named.get("candidates"), named.get("exclude"), hide, unknown="error", where=where),
    )
    recommender = Recommender.from_run(stored_run(run_folder, LISTS))
    found = recommender.explain(question, item, without=without or (), added=added or ())
    if as_json:
        show_json({**asdict(found), "is_fallback": found.is_fallback})
        return
    for note in _notes(found):
        say(f"note: {note}")
    show_table(_explained(found.items))
    if found.filtered:
        show_table(_filtered(found))
    if found.what_if is not None:
        show_table(_beside(found.answer, found.what_if.answer))


def _seconds(text: str) -> list[float]:
    try:
        return [float(one) for one in ids_between_commas(text)]
    except ValueError as error:
        raise ConfigurationError(f"--times {text[:60]}: give unix seconds between commas ({error})") from error


def _notes(found: Explanation) -> list[str]:
    notes = []
    if found.is_fallback:
        notes.append("nothing of the history is known to the model: these are the most popular items")
    elif not found.goes_by_history and found.items:
        notes.append(
            "no item of the history changes a score: the model looks at none, or knows its users by what it learnt "
            "from them"
        )
    if found.untried:
        notes.append(f"the {counted(found.untried, 'oldest item')} of the history were not left out")
    return notes


def _named(item: RawId, title: str | None) -> str:
    return str(item) if title is None else f"{title} ({item})"


def _explained(items: Sequence[Explained]) -> Sheet:
    names = ("rank", "item", "score", "popular", "carried by")
    sheet = Sheet(counted(len(items), "item explained", "items explained"), names, left=("item", "carried by"))
    for one in items:
        sheet.section()
        where = f"{one.rank:,}" if one.filtered is None else f"{one.filtered} ({one.rank:,})"
        lines = "\n".join(_carried(carrier) for carrier in _shown(one.carriers))
        sheet.add(where, _named(one.item, one.title), f"{one.score:.4g}", f"{one.popularity:,}.", lines)
    sheet.caption = (
        "popular: the place by training events. carried by: items of the history, with what of the score is gone "
        "without each, and the rank that is left then"
    )
    return sheet


def _shown(carriers: Sequence[Carrier]) -> list[Carrier]:
    """Those that speak for the item, the most first."""
    return [one for one in carriers if one.change is None or one.change > 0][:_CARRIERS]


def _carried(one: Carrier) -> str:
    change = "all there is" if one.change is None else f"{one.change:+.3g}"
    return f"{_named(one.item, one.title)}: {change}, else {one.rank:,}."


def _filtered(found: Explanation) -> Sheet:
    sheet = Sheet("would be listed, and are left out", ("item", "score", "reason"), left=("item", "reason"))
    for one in found.filtered:
        sheet.add(_named(one.item, one.title), f"{one.score:.4g}", one.reason)
    return sheet


def _beside(before: Answer, after: Answer) -> Sheet:
    sheet = Sheet("what if", ("rank", "as it is", "otherwise"), left=("as it is", "otherwise"))
    for place in range(max(len(before), len(after))):
        cells = [
            _named(one.items[place].item, one.items[place].title) if place < len(one) else "" for one in (before, after)
        ]
        sheet.add(str(place + 1), *cells)
    return sheet

"""Changes of the catalogue that a service was told: laid on what each model knows, before they are stored."""

from typing import Any

from nextitem.errors import DataError
from nextitem.model.growing import Growing
from nextitem.serving.catalogue.additions import of_values
from nextitem.serving.ids import RawId
from nextitem.serving.known import Known
from nextitem.serving.recommender import Recommender
from nextitem.serving.store.catalogue import StoredChanges


def trained_of(recommender: Recommender) -> Known:
    """What a recommender knew before its catalogue changed."""
    return recommender.known if recommender.trained is None else recommender.trained


def knows(recommender: Recommender, item: RawId) -> bool:
    """Whether an item is in the catalogue, retired or not."""
    return recommender.known.item_places.of(item, "item", 0) >= 0


def can_grow(recommender: Recommender) -> bool:
    """Whether the model has rows of items, to which that of a new one can be foretold; what only counts has none."""
    return isinstance(trained_of(recommender).scorer, Growing)


def laid_on(recommender: Recommender, told: StoredChanges) -> Recommender:
    """The recommender with stored changes; what is about items that it does not know waits until it does."""
    added = {item: told.added[item] for item in told.added if not knows(recommender, item)}
    if added and can_grow(recommender):
        recommender = with_added(recommender, added)
    changes = recommender.changes
    changes = changes.retire(item for item in told.retired if knows(recommender, item)).restore(told.brought_back)
    changes = changes.rename({item: title for item, title in told.titles.items() if knows(recommender, item)})
    return recommender if changes == recommender.changes else recommender.with_catalogue(changes)


def with_added(recommender: Recommender, items: dict[RawId, Any]) -> Recommender:
    """The recommender with new items by what is known of them. Raises DataError for what their columns cannot hold."""
    if there := [item for item in items if knows(recommender, item)]:
        raise DataError(
            f"item {there[0]!r} is in the catalogue already; rename it, or bring it back where it is retired"
        )
    rows = [{**features, "item": item} for item, features in items.items()]
    return recommender.with_catalogue(recommender.changes.add(of_values(rows, trained_of(recommender).features)))


def with_item(
    recommender: Recommender, item: RawId, *, title: str | None = None, is_retired: bool | None = None
) -> Recommender:
    """The recommender with an item renamed, retired or brought back, where it knows the item."""
    if not knows(recommender, item):
        return recommender
    changes = recommender.changes if title is None else recommender.changes.rename({item: title})
    if is_retired is not None:
        changes = changes.retire([item]) if is_retired else changes.restore([item])
    return recommender.with_catalogue(changes)

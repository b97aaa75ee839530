"""The most popular items at once: what a caller gets where the model does not come to the question in time.

Their order is made once for a catalogue, and nothing of a model is asked. All terms of a question hold but diversity,
for which vectors of items would have to be compared.
"""

from itertools import islice

from nextitem.serving.answering.heard import hear
from nextitem.serving.answering.listing import Listed
from nextitem.serving.answering.understood import answer_of, understood
from nextitem.serving.known import Known
from nextitem.serving.narrowing.picking import picked
from nextitem.serving.question import Answer, Question


def popular_answer(known: Known, question: Question) -> Answer:
    """The most popular items that the question's answer may hold: nothing of its history, a known user's included.

    Raises ConfigurationError and DataError for a question that a model could not answer either.
    """
    one = understood(known, hear(known, question))
    order, counts = known.kept.get("by popularity", lambda: _by_popularity(known))
    left_out = {*one.heard.seen, *one.heard.disliked, *one.narrowed.shown}
    is_allowed_N, picking = one.narrowed.allowed.is_allowed_N, one.narrowed.picking
    is_allowed = None if is_allowed_N is None else is_allowed_N.numpy()
    may_be = (item for item in order if item not in left_out and (is_allowed is None or is_allowed[item]))
    items = [*islice(may_be, len(order) if picking.limits else one.k)]
    scores = [counts[item] for item in items]
    if not picking.limits:
        return answer_of(known, one, Listed(items, scores), "popularity")
    found = picked(items, scores, one.k, limits=picking.limits)
    listed = Listed([items[place] for place in found.places], [scores[place] for place in found.places])
    return answer_of(known, one, Listed(listed.items, listed.scores, found.passed_over), "popularity")


def _by_popularity(known: Known) -> tuple[list[int], list[float]]:
    """(all items, the popular first, how often each item occurs)."""
    counts_N = known.counts_N.double()
    return counts_N.argsort(descending=True, stable=True).tolist(), counts_N.tolist()

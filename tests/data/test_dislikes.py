"""What users said no to, and who knows of it when: worked out by hand."""

import torch
from torch import tensor

from nextitem.data.interactions import Interactions
from nextitem.data.kinds import interpret
from nextitem.data.log import Log, index
from nextitem.data.splits import LeaveOneOut
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.hiding import hidden, hidden_targets
from nextitem.evaluation.ranks import top_k
from nextitem.model.baselines import Popularity

KINDS: dict[str, float | str] = {"buy": 1.0, "no": "disliked"}
Event = tuple[str, str, float, str]
#                  items in order: u v w x y z
EVENTS: list[Event] = [
    ("ann", "x", 1, "buy"), ("ann", "y", 2, "buy"), ("ann", "v", 3, "no"), ("ann", "z", 4, "buy"),
    ("ann", "w", 5, "no"), ("ann", "u", 6, "buy"), ("ann", "z", 7, "no"),
    ("bob", "u", 1, "no"), ("bob", "v", 2, "buy"), ("bob", "w", 3, "buy"), ("bob", "x", 3, "buy"),
    ("bob", "y", 3, "no"), ("cat", "nowhere else", 1, "no"), ("eve", "v", 1, "no"),
]  # fmt: skip


def log_of(events: list[Event]) -> Log:
    user, item, time, kind = zip(*events, strict=True)
    meant = interpret(Interactions.from_columns(user, item, time, kind=kind), KINDS)
    return index(meant.events, KINDS, meant.disliked)


def test_a_dislike_is_known_from_where_it_stands_among_the_events() -> None:
    log = log_of(EVENTS)
    assert log.items.ids.to_list() == ["u", "v", "w", "x", "y", "z"]
    assert log.sequences.tolist() == [[3, 4, 5, 0], [1, 2, 3]]
    dislikes = log.sequences.events.dislikes
    assert dislikes is not None
    assert dislikes.items_D.tolist() == [1, 2, 5, 0, 4]
    assert dislikes.places_D is not None
    assert dislikes.places_D.tolist() == [2, 3, 4, 4, 7]
    assert dislikes.offsets.tolist() == [0, 3, 5]
    whole = log.sequences.disliked()
    assert whole is not None
    assert whole.tolist() == [[1, 2, 5], [0, 4]]
    earlier = log.sequences.without_last(2).disliked()
    assert earlier is not None
    assert earlier.tolist() == [[1], [0]]
    assert dislikes.all_known().known(tensor([1, -1, 0, 7]), tensor([0, 0, 0, 0]))[1].tolist() == [5, 0, 3, 0]


def test_what_was_disliked_before_is_hidden_and_what_comes_later_is_not() -> None:
    split = LeaveOneOut().split(log_of(EVENTS).sequences)
    histories = split.test.histories  # of ann up to z, of bob up to w
    for hide, ann, bob in (("history", {3, 4, 5, 1, 2}, {1, 2, 0}), ("nothing", {1, 2}, {0}), ("last:1", {5, 1, 2},
                                                                                             {2, 0})):  # fmt: skip
        seen = hidden(hide, histories)
        assert seen is not None
        rows, items = seen.flatten()
        assert {*items[rows == 0].tolist()} == ann
        assert {*items[rows == 1].tolist()} == bob
        one = seen.select(tensor([1])).flatten()
        assert {*one[1].tolist()} == bob
        assert [len(part) for part in seen.parts()] == [2]
    assert hidden_targets(hidden("nothing", histories), tensor([2, 2])).tolist() == [True, False]


def test_a_disliked_item_is_never_listed_and_never_counts_above_a_target() -> None:
    log = log_of(EVENTS)
    split = LeaveOneOut().split(log.sequences)
    scorer = Popularity().learn(split.train)
    listed, _ = top_k(scorer.query(split.test.histories), 6, hidden("nothing", split.test.histories))
    assert not {1, 2} & {*listed[0].tolist()}
    assert 0 not in listed[1].tolist()
    one = evaluate(scorer, split.test)
    without = evaluate(scorer, LeaveOneOut().split(log_of([e for e in EVENTS if e[3] == "buy"]).sequences).test)
    assert one.certificate.split == without.certificate.split
    # Training has x, y and v once. Ann's target is u: v is above it and w level, where they are not hidden.
    assert (one.above_C + one.tied_C).tolist() == [0, 1]
    assert (without.above_C + without.tied_C).tolist() == [2, 1]


def test_a_dislike_teaches_nothing_by_itself() -> None:
    log, without = log_of(EVENTS), log_of([event for event in EVENTS if event[3] == "buy"])
    assert log.sha256(with_times=True) == without.sha256(with_times=True)
    assert torch.equal(log.sequences.counts(), without.sequences.counts())

"""What a teacher foresees, kept for all targets of a training. S targets, M items, N items."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.model.encoders import BERT4Rec, SASRec
from nextitem.model.model import SequenceModel
from nextitem.model.objectives import MaskedItem, NextFew, NextItem, UserItem
from nextitem.training.lessons import Heard, Lessons
from worlds.shelves import build_model

ITEMS = 9
TRAIN = Sequences.of([[0, 1, 2, 3, 4, 5], [6], [7, 8, 0], [2, 4], [5, 4, 3, 2]], ITEMS)
HEARD = Heard(weight=0.5, temperature=2.0, top=4)
NEXT = NextItem(maximum_length=4)


def teacher(objective: Any = NEXT) -> SequenceModel:
    encoder = (SASRec if objective.needs_causal else BERT4Rec)(dim=8, heads=2, positions=4, blocks=1)
    return build_model(encoder, objective, ITEMS).float().eval()


def asked_one_by_one(model: SequenceModel, objective: Any) -> Tensor:
    """The scores of each target's own history, as a model is asked that recommends; (S, N)."""
    windows = objective.windows(TRAIN)
    batch = objective.batch(windows, torch.Generator())
    histories = [
        window[: column + 1]
        for window, columns in zip(windows.tolist(), batch.columns_T.split(batch.counts_B.tolist()), strict=True)
        for column in columns.tolist()
    ]
    return model.query(Sequences.of(histories, ITEMS)).scores(0, ITEMS)


@pytest.mark.parametrize("objective", [NEXT, NextItem(maximum_length=2, stride=2, targets="new"), NextFew()], ids=str)
@pytest.mark.parametrize("taught_by", [NEXT, MaskedItem(maximum_length=4), NextItem(maximum_length=2)], ids=str)
def test_they_are_the_highest_of_what_it_says_after_each_history(objective: Any, taught_by: Any) -> None:
    model = teacher(taught_by)
    lessons = Lessons.of(model, HEARD, objective, objective.windows(TRAIN))
    scores_SN = asked_one_by_one(model, objective)
    scores, items = scores_SN.topk(4, dim=1)
    assert torch.equal(lessons.items_SM, items.int())
    torch.testing.assert_close(lessons.shares_SM.float(), (scores / 2.0).softmax(1), rtol=2e-3, atol=1e-4)


def test_some_windows_have_theirs_in_the_order_of_their_batch() -> None:
    windows = NEXT.windows(TRAIN)
    lessons, rows = Lessons.of(teacher(), HEARD, NEXT, windows), torch.tensor([3, 0, 1])
    some = Lessons.of(teacher(), HEARD, NEXT, windows.select(rows))
    taught = lessons.taught(rows, torch.device("cpu"))
    assert torch.equal(taught.items_TM, some.items_SM)
    assert (taught.weight, taught.temperature, taught.shares_TM.dtype) == (0.5, 2.0, torch.float32)


def test_a_catalogue_may_be_smaller_than_what_is_asked_for_and_windows_none() -> None:
    few = Lessons.of(teacher(), Heard(0.5, 1.0, 99), NEXT, NEXT.windows(TRAIN))
    assert few.items_SM.shape[1] == ITEMS
    none = Lessons.of(teacher(), HEARD, NEXT, NEXT.windows(TRAIN).select(torch.tensor([], dtype=torch.int64)))
    assert none.starts_W.tolist() == [0]


def test_objectives_say_whether_they_ask_the_same_in_every_epoch() -> None:
    assert NEXT.asks_what_followed
    assert NextFew().asks_what_followed
    for drawn in (NextItem(label_masking=0.1), NextItem(cloze_weight=1.0), MaskedItem(), UserItem()):
        assert not drawn.asks_what_followed

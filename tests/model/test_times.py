"""An encoder that says that it reads times gets them, in training, validation and queries; no other pays for them."""

from typing import ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

from nextitem.data.sequences import Sequences
from nextitem.data.splits import LeaveOneOut
from nextitem.errors import DataError
from nextitem.model.assemble import assemble
from nextitem.model.encoders import SASRec
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items import Tied
from nextitem.model.losses import CrossEntropy
from nextitem.model.model import SequenceModel
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.training.fit import fit_model
from nextitem.training.session import Session
from nextitem.training.training import Training
from nextitem.training.validation import validation_loss

ITEMS = 6
HISTORIES = [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]]
TIMES: list[list[float]] = [[10, 20, 30, 40, 50, 60], [1, 2, 4, 8, 16, 32]]


class Clock(nn.Module):
    """A state is the vector of the item, scaled by the seconds since the event before."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(
        self,
        embeddings_BLd: Tensor,
        lengths_B: Tensor,
        users_B: Tensor | None = None,
        read_T: Tensor | None = None,
        *,
        times_BL: Tensor,
    ) -> Tensor:
        self.seen.append(times_BL)
        gaps_BL = (times_BL[:, 1:] - times_BL[:, :-1]).to(embeddings_BLd.dtype)
        states_BLd = embeddings_BLd * (1 + nn.functional.pad(gaps_BL, (1, 0)))[..., None]
        return states_BLd if read_T is None else states_BLd.flatten(0, 1)[read_T]


class Clocked(Encoder):
    """The settings of `Clock`."""

    name: Literal["clocked"] = "clocked"
    is_causal: ClassVar[bool] = True
    reads_times: ClassVar[bool] = True

    def build(self, number_of_users: int = 0) -> nn.Module:
        return Clock()


def model_of(encoder: Encoder, objective: NextItem | MaskedItem) -> SequenceModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return assemble(Tied(), encoder, objective, ITEMS, 2)


@pytest.mark.parametrize("objective", [NextItem(), MaskedItem()])
def test_a_model_trains_and_validates_on_times(objective: NextItem | MaskedItem) -> None:
    split = LeaveOneOut().split(Sequences.of(HISTORIES, ITEMS, times=TIMES))
    model, loss = model_of(Clocked(dim=8), objective), CrossEntropy().build()
    before = model.items.weight_Nd.clone()
    fit_model(model, split.train, loss, Training(epochs=2, patience=None), Session(0), None)
    assert not torch.equal(before, model.items.weight_Nd)
    assert validation_loss(model, loss, None, split.validation, 2, Session(0)) > 0
    assert isinstance(model.encoder, Clock)
    newest = model.encoder.seen[-1][:, -1]  # validation asks after the fourth event
    assert sorted(newest.tolist()) == [8, 40]


def test_scores_depend_on_when_events_were() -> None:
    model = model_of(Clocked(dim=8), NextItem())
    early, late = (Sequences.of([[0, 1]], ITEMS, times=[[0, second]]) for second in (1, 5))
    scores = [model.query(histories).scores(0, ITEMS) for histories in (early, late)]
    torch.testing.assert_close(scores[1], 3 * scores[0])  # 1 + 5 seconds to 1 + 1


def test_fractions_of_a_second_reach_the_encoder() -> None:
    model = model_of(Clocked(dim=8), NextItem())
    model.query(Sequences.of([[0, 1]], ITEMS, times=[[1_714_567_890.25, 1_714_567_890.5]]))
    assert isinstance(model.encoder, Clock)
    assert model.encoder.seen[0].tolist() == [[1_714_567_890.25, 1_714_567_890.5]]


@pytest.mark.parametrize("ask", ["windows", "query"])
def test_events_without_times_are_refused_by_who_reads_them(ask: str) -> None:
    model = model_of(Clocked(dim=8), NextItem())
    with pytest.raises(DataError, match="the encoder reads when events were, and these have no times; give events"):
        getattr(model, ask)(Sequences.of(HISTORIES, ITEMS))


def test_no_histories_at_all_lack_no_times() -> None:
    assert len(model_of(Clocked(dim=8), NextItem()).query(Sequences.of([], ITEMS))) == 0


def test_who_reads_no_times_gets_none() -> None:
    model, timed = model_of(SASRec(dim=8), NextItem()), Sequences.of(HISTORIES, ITEMS, times=TIMES)
    windows = model.windows(timed)
    assert not windows.has_times
    assert model.batch(windows, torch.Generator()).times_BL is None
    plain = model.query(Sequences.of(HISTORIES, ITEMS)).scores(0, ITEMS)
    assert torch.equal(model.query(timed).scores(0, ITEMS), plain)

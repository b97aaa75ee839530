"""A model that is told when its targets happened: only where its name says so, and nobody else ever is."""

from typing import ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

from nextitem.data.sequences import Sequences
from nextitem.data.splits import LeaveOneOut
from nextitem.data.splits.split import Cases
from nextitem.data.splits.temporal import Temporal
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.certificate import Certificate, refuse_told
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.ranking import FULL
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.assemble import assemble
from nextitem.model.batches import cut
from nextitem.model.encoders import HSTU
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items import Tied
from nextitem.model.model import SequenceModel
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.model.rows import hide

ITEMS = 6
HISTORIES = [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2]]
TIMES: list[list[float]] = [[10, 20, 30, 40, 50, 60], [1, 2, 4, 8]]
LOG = Sequences.of(HISTORIES, ITEMS, times=TIMES)


class Listener(nn.Module):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[Tensor, Tensor]] = []

    def forward(
        self,
        embeddings_BLd: Tensor,
        lengths_B: Tensor,
        users_B: Tensor | None,
        read_T: Tensor,
        *,
        times_BL: Tensor,
        asked_BL: Tensor,
    ) -> Tensor:
        self.told.append((times_BL, asked_BL))
        return embeddings_BLd.flatten(0, 1)[read_T]


class Listening(Encoder):
    """The settings of `Listener`."""

    name: Literal["listening"] = "listening"
    is_causal: ClassVar[bool] = True
    reads_times: ClassVar[bool] = True
    reads_target_times: ClassVar[bool] = True

    def build(self, number_of_users: int = 0) -> nn.Module:
        return Listener()


def told_by(model: SequenceModel) -> tuple[list[list[int]], list[list[int]]]:
    assert isinstance(model.encoder, Listener)
    times_BL, asked_BL = model.encoder.told[-1]
    return times_BL.tolist(), asked_BL.tolist()


def listening() -> SequenceModel:
    return assemble(Tied(), Listening(dim=8), NextItem(maximum_length=4), ITEMS, 2)


def test_in_training_each_input_is_told_when_the_next_event_was() -> None:
    model = listening()
    batch = model.batch(model.windows(LOG), torch.Generator())
    model.states(batch)
    assert told_by(model) == ([[20, 30, 40, 50], [1, 2, 4, 4]], [[30, 40, 50, 60], [2, 4, 8, 8]])
    second, _ = cut(batch, None, slice(1, 2))
    assert second.asked_BL is not None
    assert second.asked_BL.tolist() == [[2, 4, 8, 8]]


def test_a_case_that_says_so_is_asked_with_the_time_of_its_target() -> None:
    model, split = listening(), LeaveOneOut().split(LOG).telling_times()
    model.query(split.test.histories)
    assert told_by(model) == ([[20, 30, 40, 50], [1, 2, 4, 4]], [[30, 40, 50, 60], [2, 4, 8, 4]])
    model.query(split.validation.select([1]).histories)
    assert told_by(model) == ([[1, 2]], [[2, 4]])


def test_of_other_histories_nobody_knows_when_what_follows_will_happen() -> None:
    with pytest.raises(DataError, match=r"such a model can be evaluated on a split, and cannot recommend; train one"):
        listening().query(LeaveOneOut().split(LOG).test.histories)


def test_an_honest_model_says_the_same_of_cases_that_tell_more() -> None:
    model = assemble(Tied(), HSTU(dim=8, positions=4), NextItem(maximum_length=4), ITEMS, 2)
    cases = LeaveOneOut().split(LOG).test
    scores, told = (model.query(one.histories).scores(0, ITEMS) for one in (cases, cases.telling_times()))
    assert torch.equal(scores, told)
    leaking = assemble(Tied(), HSTU(dim=8, positions=4, times="target_leaks"), NextItem(maximum_length=4), ITEMS, 2)
    leaking.load_state_dict(model.state_dict())
    assert not torch.equal(leaking.query(cases.telling_times().histories).scores(0, ITEMS), scores)


def test_the_certificate_says_what_was_told_and_compares_it() -> None:
    cases = LeaveOneOut().split(LOG).test
    honest, told = (evaluate(listening(), cases.telling_times()).certificate, Certificate.of(cases, FULL, ()))
    assert honest.told == "the time of the target"
    assert honest.without_metrics().differences(told) == "told the time of the target and not said"
    assert honest.without_metrics().untold() == told
    assert "told" not in told.as_dict()


def test_who_was_told_is_refused_beside_others() -> None:
    refuse_told([])
    with pytest.raises(ConfigurationError, match=r"^runs/a, runs/b: told when each target happened .*--target-times"):
        refuse_told(["runs/a", "runs/b"])


def test_several_targets_after_one_history_have_no_moment_of_their_own() -> None:
    log = Sequences.of([[0, 1, 2, 3], [4, 5, 0, 1]], ITEMS, times=[[1, 2, 30, 40], [1, 2, 30, 40]])
    cases = Temporal(cut=0.5, target="all", validation="last").split(log).test
    with pytest.raises(DataError, match=r"2 of 4 targets are not the event after their history.*split\.target"):
        cases.telling_times()


def test_the_last_history_of_a_log_is_followed_by_nothing() -> None:
    cases = Cases.of(LOG, torch.tensor([5, 2]), torch.ones(ITEMS, dtype=torch.int64))
    with pytest.raises(DataError, match="1 of 2 targets are not the event after their history"):
        cases.telling_times()


@pytest.mark.parametrize("objective", [MaskedItem(maximum_length=4), NextItem(maximum_length=4, cloze_weight=0.5)])
def test_only_who_asks_for_the_next_event_can_tell_when_it_was(objective: NextItem | MaskedItem) -> None:
    encoder = HSTU(dim=8, positions=4, times="target_leaks")
    with pytest.raises(ConfigurationError, match=r"encoder\.times=target_leaks reads when the next event happened"):
        SequenceRecipe(encoder=encoder, objective=objective)
    SequenceRecipe(encoder=encoder.model_copy(update={"times": "past"}), objective=objective)


def test_when_a_hidden_item_was_is_hidden_too() -> None:
    windows = Sequences.of([[0, 1, 2, 3], [4, 5]], ITEMS, times=[[10, 20, 30, 40], [5, 6]])
    hidden = torch.tensor([[True, False, True, True], [True, True, False, False]])
    batch = hide(windows, hidden)
    assert batch.times_BL is not None
    assert batch.times_BL.tolist() == [[20, 20, 20, 20], [5, 5, 5, 5]]  # where all are hidden, all are alike

"""A new loss, encoder, item table or kind of negatives is planned by what it says of itself: the plan knows none."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import pytest
import torch
from torch import Tensor, nn

from nextitem.data.prepare import Prepared
from nextitem.data.sequences import Sequences
from nextitem.experiment.plan import plan
from nextitem.experiment.plan.flops import flops_per_epoch
from nextitem.experiment.plan.memory import Work, needed, shapes_of
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.batches import Batch, Drawn, Sharing, StepShapes
from nextitem.model.encoders import SASRec
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items import Separate
from nextitem.model.items.table import ItemTable
from nextitem.model.losses import BPR
from nextitem.model.losses.loss import Loss, LossConfiguration
from nextitem.model.negatives.exclusion import Exclude
from nextitem.model.negatives.negatives import Negatives
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.plans import CPU
from worlds.small_runs import chains, log_of, prepared_from

SMALL = SequenceRecipe(encoder=SASRec(dim=8, positions=200), training=Training(batch_size=8, epochs=2))


class HalfSquares(LossConfiguration):
    """Scores towards 1 at the target and 0 elsewhere; a thousand bytes a position, or fewer where it is asked to."""

    name: Literal["half_squares"] = "half_squares"
    needs_negatives: ClassVar[bool] = False
    apiece: int = 1000

    def build(self) -> Loss:
        def loss(
            states_Te: Tensor,
            targets_T: Tensor,
            items: ItemTable,
            drawn: Drawn | None = None,
            weights_T: Tensor | None = None,
        ) -> Tensor:
            scores_TN = states_Te @ items.output_table().T
            return (scores_TN - torch.eye(scores_TN.shape[1])[targets_T]).square().sum() / 2

        return loss

    def bytes(self, shapes: StepShapes) -> int:
        return self.apiece * shapes.positions

    def smaller(self, shapes: StepShapes) -> Iterator[Self]:
        for fewer in range(self.apiece - 100, 0, -100):
            yield self.model_copy(update={"apiece": fewer})


class Yesterday(Encoder):
    """A linear layer over the item at the position itself."""

    name: Literal["yesterday"] = "yesterday"
    is_causal: ClassVar[bool] = True
    sees_one_item: ClassVar[bool] = True
    dim: int = 8

    def flops(self, length: int) -> int:
        return 17 * length

    def remedies(self) -> list[list[dict[str, object]]]:
        return [[{"dim": 1}]]

    def build(self, number_of_users: int = 0) -> nn.Module:
        return OneLayer(self.dim)


class OneLayer(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layer = nn.Linear(dim, dim)

    def forward(self, x_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None, read_T: Any = None) -> Tensor:
        states_BLd: Tensor = self.layer(x_BLd)
        return states_BLd if read_T is None else states_BLd.flatten(0, 1)[read_T]


class SinceThen(Yesterday):
    """The same, and the seconds since the first event."""

    name: Literal["since_then"] = "since_then"  # type: ignore[assignment]
    reads_times: ClassVar[bool] = True

    def build(self, number_of_users: int = 0) -> nn.Module:
        return OneLayerOfSeconds(self.dim)


class OneLayerOfSeconds(OneLayer):
    def forward(
        self,
        x_BLd: Tensor,
        lengths_B: Tensor,
        users_B: Tensor | None = None,
        read_T: Any = None,
        *,
        times_BL: Tensor,
    ) -> Tensor:
        seconds_BL1 = (times_BL - times_BL[:, :1])[:, :, None].to(x_BLd.dtype)
        return super().forward(x_BLd + seconds_BL1, lengths_B, users_B, read_T)


class FirstItems(Negatives):
    """The first `count` items of the catalogue, for everyone."""

    name: Literal["first_items"] = "first_items"
    count: int = 4
    sharing: ClassVar[Sharing] = "batch"
    exclude: Exclude = "target"

    def build(self, train: Sequences) -> "FirstItems":
        return self

    def sample(self, batch: Batch, generator: torch.Generator) -> Drawn:
        return Drawn(torch.arange(self.count), "batch", batch.rows_T)

    def set_size(self, positions: int) -> int:
        return self.count

    def described(self) -> str:
        return self._in_words(self.count)

    def kept_bytes(self, train: Sequences) -> int:
        return 12345

    def bytes(self, positions: int, rows: int) -> int:
        return 7 * self.count

    def remedies(self) -> list[list[dict[str, object]]]:
        return [[{"count": 2}, {"count": 1}]]


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepared_from(log_of(chains()))


def toy(**parts: object) -> Recipe:
    """A recipe with parts that are on no shelf."""
    return Recipe().model_copy(update={"model": SMALL.model_copy(update=parts)})


def work_of(recipe: Recipe, prepared: Prepared) -> Work:
    return Work.of(recipe.sequence, prepared, CPU, 0)


def planned(recipe: Recipe, prepared: Prepared, items: int = 12) -> dict[str, int]:
    return needed(recipe.sequence, work_of(recipe, prepared), items, CPU)


def test_a_loss_is_planned_by_what_it_says(monkeypatch: pytest.MonkeyPatch, prepared: Prepared) -> None:
    recipe = toy(loss=HalfSquares())
    positions = work_of(recipe, prepared).most_positions
    parts = planned(recipe, prepared)
    assert parts["loss"] == 1000 * positions
    assert plan.plan(recipe, prepared, Session(0)).seconds["loss"] > 0
    # 250 bytes a position too many: three steps of a hundred are enough.
    monkeypatch.setattr(plan, "available", lambda _device: sum(parts.values()) - 250 * positions)
    smaller, memory, _ = plan.fit_into(recipe, prepared, Session(0))
    assert smaller == toy(loss=HalfSquares(apiece=700))
    assert memory["loss"] == 700 * positions
    assert plan.plan_together(recipe, prepared, Session(0))[0] == smaller


def test_negatives_are_planned_by_what_they_say(prepared: Prepared) -> None:
    recipe = toy(loss=BPR(), negatives=FirstItems())
    work, parts = work_of(recipe, prepared), planned(recipe, prepared)
    assert parts["negatives"] == 12345
    assert parts["loss"] == BPR().bytes(shapes_of(recipe.sequence, work, 12)) + 7 * 4
    assert shapes_of(recipe.sequence, work, 12).sets == 1
    assert plan.plan(recipe, prepared, Session(0)).seconds["negatives"] > 0
    assert [["negatives.count=2"], ["negatives.count=1"]] in plan._ladders(recipe.sequence)
    touched = toy(loss=BPR(), negatives=FirstItems(count=1), training=Training(batch_size=8, item_rows="touched"))
    rows = min(10_000, work.encoded + work.most_positions + 1)
    # Seven times the rows of width 8, and a gradient of all weights but the table's.
    others = planned(touched, prepared)["weights"] - 4 * 8 * 12
    assert planned(touched, prepared, 10_000)["gradients"] == 7 * rows * 4 * 8 + others


def test_an_encoder_is_planned_by_what_it_says(prepared: Prepared) -> None:
    recipe = toy(encoder=Yesterday())
    work, parts = work_of(recipe, prepared), planned(recipe, prepared)
    assert parts["weights"] == 4 * (12 * 8 + 8 * 8 + 8)
    scores = 6 * work.positions * 12 * 8
    assert flops_per_epoch(recipe.sequence, work, 12, encoded=10) == scores + 10 * 17 * SMALL.objective.maximum_length
    assert plan.plan(recipe, prepared, Session(0)).seconds["encoder"] > 0
    assert plan._ladders(recipe.sequence)[-1] == [["encoder.dim=1"]]


def test_an_encoder_that_reads_times_is_planned_with_times(prepared: Prepared) -> None:
    recipe = toy(encoder=SinceThen())
    assert planned(recipe, prepared)["activations"] >= planned(toy(encoder=Yesterday()), prepared)["activations"]
    assert plan.plan(recipe, prepared, Session(0)).seconds["encoder"] > 0


class Tripled(Separate):
    """Two tables, of which a step holds three copies, and a look-up that takes a hundred bytes a candidate."""

    name: Literal["tripled"] = "tripled"  # type: ignore[assignment]

    @property
    def step_copies(self) -> int:
        return 3

    def lookup_bytes(self, columns: int, number_of_items: int, dim: int, width: int) -> int:
        return 100 * columns


def test_an_item_table_is_planned_by_what_it_says(prepared: Prepared) -> None:
    plain = toy(items=Separate(), loss=BPR(), negatives=FirstItems())
    tripled = toy(items=Tripled(), loss=BPR(), negatives=FirstItems())
    work = work_of(plain, prepared)
    one, three = (planned(recipe, prepared) for recipe in (plain, tripled))
    assert three["gradients"] - one["gradients"] == 3 * (4 * 12 * (8 + 8))
    own = replace(shapes_of(tripled.sequence, work, 12), sharing="position")
    assert own.lookup_bytes == 100 * (1 + 4)
    less = BPR().bytes(replace(own, lookup_bytes=0))
    assert BPR().bytes(own) - less == 100 * 5 * work.most_positions

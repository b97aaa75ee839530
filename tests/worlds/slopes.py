"""A model whose gradient never changes, and who watches it: for tests of the optimisation loop.

Each of Adam's steps on a constant gradient has the size of the learning rate.
"""

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn, tensor

from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch, Drawn
from nextitem.model.encoders import SASRec
from nextitem.model.losses import CrossEntropy
from nextitem.model.losses.loss import Loss
from nextitem.model.model import SequenceModel
from nextitem.model.objectives import NextItem
from nextitem.training.fit import Progress, fit_model
from nextitem.training.history import Epoch, History
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.shelves import build_model
from worlds.small_runs import ITEMS, chains

LOG = Sequences.of(chains(), ITEMS)
FOUR = Sequences.of([[0, 1], [1, 2], [2, 3], [3, 4]], ITEMS)  # four windows with one target each
LAST = Training(epochs=2, batch_size=2, patience=None)


class Slope(nn.Module):
    """Loses `per_position` + 3·x + 4·y at every target, whatever the batch holds."""

    shard = None

    def __init__(self, per_position: float = 0.0, scale: float = 1.0) -> None:
        super().__init__()
        self.point_2 = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.per_position, self.scale = per_position, scale
        self.batches: list[Batch] = []

    def windows(self, train: Sequences) -> Sequences:
        return NextItem().windows(train)

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        self.batches.append(NextItem().batch(windows, generator))
        return self.batches[-1]

    def made(self) -> "Slope":
        return self

    def states(self, batch: Batch) -> Tensor:
        return self.per_position + self.scale * (self.point_2 * tensor([3.0, 4.0])).sum()

    def loss_of_states(self, states_Te: Tensor, batch: Batch, loss: Loss, drawn: Drawn | None) -> Tensor:
        return states_Te * len(batch.targets_T)


class Scripted:
    """Validation that returns prepared values, and keeps the weights it was asked about."""

    def __init__(self, model: nn.Module, values: list[float], others: list[float] | None = None) -> None:
        self.model, self.values, self.others = model, values, others or values
        self.weights: list[dict[str, Tensor]] = []

    def __call__(self) -> dict[str, float]:
        epoch = len(self.weights)
        self.weights.append({name: weight.clone() for name, weight in self.model.state_dict().items()})
        return {"ndcg@10": self.values[epoch], "mrr@10": self.others[epoch], "validation_loss": 7.0 - epoch}


class Recorder:
    """A watcher, checkpoint and validation that write down what happens, and where the model is at each step."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.events: list[object] = []
        self.places: list[Tensor] = []
        self.optimiser_steps = 0

    def step(self, epoch: int, step: int, steps: int) -> None:
        self.events.append((epoch, step, steps))
        self.places.append(next(iter(self.model.parameters())).detach().clone())

    def epoch(self, epoch: Epoch, history: History) -> None:
        self.events.append(f"told of {epoch.epoch}, best {history.best_epoch}")

    def load(self, progress: Progress) -> None:
        self.events.append("load")

    def part(self, number: int) -> Self:
        return self

    def save(self, progress: Progress) -> None:
        self.events.append(f"save {len(progress.history.epochs)}")
        states = progress.descent.optimiser.state_dict()["state"].values()
        self.optimiser_steps = max((int(state["step"]) for state in states), default=0)

    def validate(self) -> Mapping[str, float]:
        self.events.append("validate")
        return {"ndcg@10": 0.5}


def sasrec(dropout: float = 0.1) -> SequenceModel:
    return build_model(SASRec(dim=8, positions=8, dropout=dropout), NextItem(maximum_length=8), ITEMS)


def trained(seed: int, training: Training = LAST) -> SequenceModel:
    model = sasrec()
    fit_model(model, LOG, CrossEntropy().build(), training, Session(seed), None)
    return model


def fit_slope(model: Slope, training: Training, seed: int = 0) -> Recorder:
    recorder = Recorder(model)
    fit_model(model, FOUR, CrossEntropy().build(), training, Session(seed, watcher=recorder, checkpoint=recorder), None)
    return recorder

"""A training that stops anywhere and goes on ends with the very bits of one that never stopped."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nextitem.checkpoint import FileCheckpoint
from nextitem.encoders import FPMC, BERT4Rec, Caser, SASRec
from nextitem.history import Epoch, History, Silent
from nextitem.losses import BinaryCrossEntropy, CrossEntropy, SampledCrossEntropy
from nextitem.model import SequenceModel
from nextitem.negatives import Uniform
from nextitem.objectives import MaskedItem, NextFew, NextItem
from nextitem.sequences import Sequences
from nextitem.training import Progress, Training, fit
from shelves import build_model
from small_runs import ITEMS, chains, sha256

LOG = Sequences.of(chains(), ITEMS)
IDENTITY = {"recipe": '{"name":"small"}', "data": "d1", "seed": "0", "threads": "1"}
TRAINING = Training(epochs=4, batch_size=8, patience=3, weight_decay=0.01, schedule="linear", warmup_steps=5)
# The best epoch is the second: a training that is resumed after it has to know its weights.
VALUES = [0.1, 0.4, 0.2, 0.3]

SASREC = SASRec(dim=8, heads=2, positions=8, dropout=0.2), NextItem(maximum_length=8)
BERT4REC = BERT4Rec(dim=8, heads=2, inner=16, positions=8, dropout=0.2), MaskedItem(maximum_length=8)
SUN = (
    BERT4Rec(dim=8, heads=2, inner=16, positions=8, dropout=0.2, output_layer=True, output_bias=True),
    MaskedItem(maximum_length=4, stride=2, last_copies=1, masks="exact_share", most_masks=2),
)
BOTH = NextItem(maximum_length=8, cloze_weight=0.5, label_masking=0.3)
SHARED = Uniform(count=3, sharing="sequence", replacement=False)
KINDS = {
    "SASRec, softmax": (*SASREC, CrossEntropy(), None),
    "SASRec, one negative": (*SASREC, BinaryCrossEntropy(), Uniform(count=1)),
    "SASRec, shared negatives": (*SASREC, SampledCrossEntropy(), SHARED),
    "BERT4Rec, softmax": (*BERT4REC, CrossEntropy(), None),
    "BERT4Rec, shared negatives": (*BERT4REC, SampledCrossEntropy(), SHARED),
    "2019": (*SUN, CrossEntropy(), None),
    "SASRec, cloze and masked labels": (SASREC[0], BOTH, CrossEntropy(), None),
    "Caser, the next few": (Caser(dim=8, window=3), NextFew(maximum_length=3), BinaryCrossEntropy(), Uniform(count=3)),
    "FPMC, each transition": (FPMC(dim=8), NextFew(maximum_length=1, targets=1), BinaryCrossEntropy(), Uniform()),
}
SOFTMAX = "SASRec, softmax"


class KilledError(Exception):
    """Stands for the end of the process."""


class Killer(Silent):
    """Ends the training once epoch `epoch` is saved or, if `step` is given, at that step of it."""

    def __init__(self, epoch: int, step: int | None = None) -> None:
        self.last = (epoch, step)

    def step(self, epoch: int, step: int, steps: int) -> None:
        if (epoch, step) == self.last:
            raise KilledError

    def epoch(self, epoch: Epoch, history: History) -> None:
        if (epoch.epoch, None) == self.last:
            raise KilledError


class Remembering:
    """A checkpoint that keeps hold of what it was last given."""

    def __init__(self, checkpoint: FileCheckpoint) -> None:
        self.checkpoint = checkpoint
        self.progress: Progress | None = None

    def load(self, progress: Progress) -> None:
        self.progress = progress
        self.checkpoint.load(progress)

    def save(self, progress: Progress) -> None:
        self.checkpoint.save(progress)


def train(
    kind: str,
    file: Path,
    watcher: Silent | None = None,
    *,
    identity: dict[str, str] = IDENTITY,
    seed: int = 0,
    training: Training = TRAINING,
) -> tuple[SequenceModel, History]:
    encoder, objective, loss, negatives = KINDS[kind]
    model = build_model(encoder, objective, ITEMS).float()
    checkpoint = Remembering(FileCheckpoint(file, identity))

    def validate() -> dict[str, float]:
        torch.rand(3)  # whatever validation draws must not matter: a resumed training draws it less often
        epoch = len(checkpoint.progress.history.epochs)
        return {"ndcg@10": VALUES[epoch], "validation_loss": 1.0 - epoch}

    history = fit(
        model, LOG, loss.build(), training, seed, validate,
        negatives=negatives and negatives.build(LOG), checkpoint=checkpoint, watcher=watcher,
    )  # fmt: skip
    return model, history


def facts(history: History) -> list[Epoch]:
    """The epochs without what a clock says."""
    return [replace(epoch, train_seconds=0.0, positions_per_second=0.0) for epoch in history.epochs]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, History]]:
    """Per kind the fingerprint and history of a training that never stopped."""
    folder, found = tmp_path_factory.mktemp("uninterrupted"), {}
    for number, kind in enumerate(KINDS):
        model, history = train(kind, folder / f"{number}.safetensors")
        found[kind] = sha256(model.state_dict()), history
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("killer", [(1,), (2,), (3,), (4,), (3, 2)], ids="killed at {}".format)
def test_a_resumed_training_ends_with_the_same_bits(
    kind: str, killer: tuple[int, ...], uninterrupted: dict[str, tuple[str, History]], tmp_path: Path
) -> None:
    file = tmp_path / "partial" / "checkpoint.safetensors"
    with pytest.raises(KilledError):
        train(kind, file, Killer(*killer))
    model, history = train(kind, file)
    weights, expected = uninterrupted[kind]
    assert sha256(model.state_dict()) == weights
    assert facts(history) == facts(expected)
    assert history.best_epoch == expected.best_epoch == 2


def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bits(
    uninterrupted: dict[str, tuple[str, History]], tmp_path: Path
) -> None:
    for killer in (Killer(1, 2), Killer(1), Killer(2, 1), Killer(2), Killer(4, 1)):
        with pytest.raises(KilledError):
            train(SOFTMAX, tmp_path / "checkpoint.safetensors", killer)
    model, _ = train(SOFTMAX, tmp_path / "checkpoint.safetensors")
    assert sha256(model.state_dict()) == uninterrupted[SOFTMAX][0]


def test_the_fingerprint_tells_trainings_apart(uninterrupted: dict[str, tuple[str, History]], tmp_path: Path) -> None:
    """Otherwise the tests above would prove nothing."""
    model, _ = train(SOFTMAX, tmp_path / "checkpoint.safetensors", seed=1)
    assert len({weights for weights, _ in uninterrupted.values()} | {sha256(model.state_dict())}) == len(KINDS) + 1


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_training_of_so_many_steps_goes_on_to_the_same_bits(epoch: int, tmp_path: Path) -> None:
    steps = math.ceil(len(SUN[1].windows(LOG)) / TRAINING.batch_size)
    training = TRAINING.model_copy(update={"steps": 2 * steps + steps // 2})  # half of the third epoch
    expected, history = train("2019", tmp_path / "whole", training=training)
    with pytest.raises(KilledError):
        train("2019", tmp_path / "parts", Killer(epoch), training=training)
    model, resumed = train("2019", tmp_path / "parts", training=training)
    assert len(history.epochs) == 3
    assert facts(resumed) == facts(history)
    assert sha256(model.state_dict()) == sha256(expected.state_dict())
    again, after = train("2019", tmp_path / "parts", training=training)  # there is nothing left to do
    assert (facts(after), sha256(again.state_dict())) == (facts(history), sha256(expected.state_dict()))

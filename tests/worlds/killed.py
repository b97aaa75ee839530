"""Small trainings with a checkpoint, which end where they are told to."""

from pathlib import Path
from typing import Self

import torch

from nextitem.data.sequences import Sequences
from nextitem.model.encoders import FPMC, BERT4Rec, Caser, SASRec
from nextitem.model.items import Tied
from nextitem.model.losses import BinaryCrossEntropy, CrossEntropy, SampledCrossEntropy
from nextitem.model.model import SequenceModel
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import MaskedItem, NextFew, NextItem
from nextitem.training.checkpoint import FileCheckpoint
from nextitem.training.fit import Progress, fit_model
from nextitem.training.history import Epoch, History, Silent
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.shelves import build_model
from worlds.small_runs import ITEMS, chains

LOG = Sequences.of(chains(), ITEMS)
SILENT = Silent()
IDENTITY = {"recipe": '{"name":"small"}', "data": "d1", "seed": "0", "threads": "1"}
TRAINING = Training(epochs=4, batch_size=8, patience=3, weight_decay=0.01, schedule="linear", warmup_steps=5)
# The best epoch is the second: a training that is resumed after it has to know its weights.
VALUES = [0.1, 0.4, 0.2, 0.3]

SASREC = SASRec(dim=8, heads=2, positions=8, dropout=0.2), NextItem(maximum_length=8)
BERT4REC = BERT4Rec(dim=8, heads=2, inner=16, positions=8, dropout=0.2), MaskedItem(maximum_length=8)
SUN = (
    BERT4Rec(dim=8, heads=2, inner=16, positions=8, dropout=0.2, output_layer=True),
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
    "2019": (*SUN, CrossEntropy(), None, Tied(bias=True)),
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

    def part(self, number: int) -> Self:
        return self

    def save(self, progress: Progress) -> None:
        self.checkpoint.save(progress)


def train(
    kind: str,
    file: Path,
    watcher: Silent = SILENT,
    *,
    identity: dict[str, str] = IDENTITY,
    seed: int = 0,
    training: Training = TRAINING,
) -> tuple[SequenceModel, History]:
    encoder, objective, loss, negatives, *items = KINDS[kind]
    model = build_model(encoder, objective, ITEMS, items=items[0] if items else None).float()
    checkpoint = Remembering(FileCheckpoint(file, identity))

    def validate() -> dict[str, float]:
        torch.rand(3)  # whatever validation draws must not matter: a resumed training draws it less often
        epoch = len(checkpoint.progress.history.epochs)
        return {"ndcg@10": VALUES[epoch], "validation_loss": 1.0 - epoch}

    history = fit_model(
        model, LOG, loss.build(), training, Session(seed, watcher=watcher, checkpoint=checkpoint), validate,
        negatives=negatives and negatives.build(LOG),
    )  # fmt: skip
    return model, history

"""What test_processes.py starts: acts in two processes each, forked from one that has done nothing but import.

Starting Python and torch takes longer than all of the acts. Their exit codes are printed as JSON.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # the first step of an optimiser would import it, in every process
from torch.nn.functional import cross_entropy

from nextitem.cli import app as cli
from nextitem.cli import train as training_verb
from nextitem.compute import processes
from nextitem.compute.processes import Processes, joined
from nextitem.errors import StorageError, TrainingError
from nextitem.experiment.combined import Blend, Ensemble, Member
from nextitem.experiment.folder.writing import weights_of
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, run
from nextitem.model.encoders import SASRec
from nextitem.model.items.shard import Shard
from nextitem.model.losses import BPRMax, SampledCrossEntropy
from nextitem.model.losses.cross_entropy import CrossEntropyLoss
from nextitem.model.negatives import InBatch, Mixed, Uniform
from nextitem.model.objectives import NextItem
from nextitem.training.checkpoint import FileCheckpoint
from nextitem.training.history import Silent
from nextitem.training.session import Session
from worlds.parts import sequence, with_parts
from worlds.shelves import with_settings
from worlds.small_runs import ENCODER, NEURAL, RECIPES, SHORT, chains, log_of, prepared_from, sha256

SMALL = (
    "encoder.dim=8", "encoder.dropout=0.0", "objective.maximum_length=8", "training.epochs=3", "training.batch_size=16",
    "training.learning_rate=0.01",
)  # fmt: skip


def without_dropout(recipe: Recipe) -> Recipe:
    return with_parts(recipe, encoder=with_settings(recipe.sequence.encoder, dropout=0.0))


PLAIN = without_dropout(RECIPES["sasrec-ce"]).sequence
OF_SEVERAL = {
    "ensemble": Recipe(model=Ensemble(members=tuple(Member(seed=seed, model=PLAIN) for seed in (0, 1)))),
    "blend": Recipe(model=Blend(model=PLAIN, co_occurrence=(0.0, 0.5), decay=(0.0, 0.5))),
}


SHARED_OUT = SHORT.model_copy(update={"item_rows": "sharded", "batch_size": 7})
SHARDED = {
    "rows shared out": with_parts(
        without_dropout(RECIPES["sasrec-ce"]),
        training=SHARED_OUT.model_copy(update={"gradient_clip": 0.05, "ema": 0.9, "weight_decay": 0.01}),
    ),
    "rows shared out, one row a step": with_parts(
        without_dropout(RECIPES["sasrec-ce"]), training=SHARED_OUT.model_copy(update={"batch_size": 1, "epochs": 1})
    ),
    "rows shared out, drawn": with_parts(without_dropout(RECIPES["sasrec-sampled"]), training=SHARED_OUT),
}
NARROW = SHORT.model_copy(update={"batch_size": 1, "epochs": 1})
EQUAL = {
    **RECIPES, **{name: without_dropout(RECIPES[name]) for name in NEURAL}, **OF_SEVERAL,
    "one row a step": with_parts(without_dropout(RECIPES["sasrec-ce"]), training=NARROW),
    "negatives of the batch": sequence(
        encoder=SASRec(**ENCODER, dropout=0.0), objective=NextItem(maximum_length=8), loss=SampledCrossEntropy(),
        negatives=Uniform(count=5, sharing="batch"), training=SHORT.model_copy(update={"batch_size": 7}),
    ),
    "targets of the batch": sequence(
        encoder=SASRec(**ENCODER, dropout=0.0), objective=NextItem(maximum_length=8),
        loss=SampledCrossEntropy(log_q="revised"), negatives=InBatch(),
        training=SHORT.model_copy(update={"batch_size": 7}),
    ),
    "mixed negatives": sequence(
        encoder=SASRec(**ENCODER, dropout=0.0), objective=NextItem(maximum_length=8), loss=BPRMax(),
        negatives=Mixed(count=4), training=SHORT.model_copy(update={"batch_size": 7, "item_rows": "touched"}),
    ),
    **SHARDED,
}  # fmt: skip


def measured(name: str, several: Processes = processes.ALONE, recipes: dict[str, Recipe] = EQUAL) -> dict[str, Any]:
    """What a training ends with, as plain values."""
    outcome: Outcome = run(recipes[name], Session(0, several), prepared=prepared_from(log_of(chains())))
    losses = [[epoch.train_loss, epoch.validation_loss or 0.0] for epoch in outcome.history.epochs]
    return {
        "losses": losses,
        "validation": [epoch.validation for epoch in outcome.history.epochs],
        "test": dict(outcome.test.means),
        "users": outcome.test.users_C.tolist(),
        "certificate": json.loads(json.dumps(asdict(outcome.test.certificate))),
        "weights": sha256(weights_of(outcome.model)),
    }


def gone_on(several: Processes, file: Path) -> str:
    """The weights of a training on shared out rows that stopped after its first epoch, and went on."""
    recipe, session = SHARDED["rows shared out"], Session(0, several, checkpoint=FileCheckpoint(file, {}))
    for epochs in (1, 2):
        training = recipe.sequence.training.model_copy(update={"epochs": epochs})
        outcome = run(with_parts(recipe, training=training), session, prepared=prepared_from(log_of(chains())))
    return sha256(weights_of(outcome.model))


def beside_a_whole_table(several: Processes) -> list[float]:
    """How far a softmax over shared out rows is from torch's over all: its value and both gradients, in float64."""
    draws = torch.Generator().manual_seed(5)
    states, table = (torch.randn(count, 3, generator=draws, dtype=torch.float64) for count in (5, 11))
    targets, weights = torch.tensor([0, 10, 4, 4, 7]), torch.tensor([1.0, 0.5, 2.0, 0.0, 1.0], dtype=torch.float64)
    found = []
    for scale, mine in ((1.0, several.share(5)), (40.0, slice(0, 5 * (1 - several.rank)))):  # and all of one process
        shard, own = Shard.of(table, several), (scale * states[mine]).requires_grad_()
        loss = CrossEntropyLoss(block_rows=2, tile_items=3, label_smoothing=0.1)
        summed = loss.of_shards(own, targets[mine], shard, weights[mine])
        summed.backward()
        all_states, whole = (scale * states).requires_grad_(), table.clone().requires_grad_()
        losses = cross_entropy(all_states @ whole.T, targets, reduction="none", label_smoothing=0.1)
        (losses * weights).sum().backward()
        of_rows = whole.grad[several.share(11)] - shard.rows_nd.grad
        differences = [(losses * weights)[mine].sum() - summed, all_states.grad[mine] - own.grad, of_rows]
        found += [float(difference.detach().abs().sum()) for difference in differences]
    return found


def trainings(folder: Path) -> None:
    """Train everything and write down what this process sees."""
    with joined(torch.device("cpu")) as several:
        found = {name: measured(name, several) for name in EQUAL}
        found["dropout"] = measured("sasrec-ce", several, RECIPES)
        found["gone on"] = {"weights": gone_on(several, folder / "shared-out.safetensors")}
        (folder / f"trainings-{several.rank}.json").write_text(json.dumps(found), encoding="utf-8")


def primitives(folder: Path) -> None:
    """Each of the things that processes do together, with numbers that tell them apart."""
    with joined(torch.device("cpu")) as several:
        parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
        parameters[0].grad = torch.tensor([1.0, 10.0]) * (several.rank + 1)
        parameters[1].grad = torch.tensor([5.0, 7.0]) if several.rank else None
        several.sum_gradients(parameters)
        own = several.share(5)
        found: dict[str, Any] = {
            "share": list(range(5)[own]),
            "gathered": several.gather(torch.arange(5.0)[own, None] ** 2, 5).tolist(),
            "one row": several.gather(torch.ones(1)[several.share(1)], 1).tolist(),
            "gradients": [None if p.grad is None else p.grad.tolist() for p in parameters],
            "stream": several.stream,
        }
        found["beside a whole table"] = beside_a_whole_table(several)
        several.agree("what is equal", {"weight": torch.zeros(2)})
        try:
            several.agree("the weights", {"weight": torch.full((2,), 1e-30 * several.rank)})
        except TrainingError as error:
            found["disagreement"] = str(error)
        (folder / f"primitives-{several.rank}.json").write_text(json.dumps(found), encoding="utf-8")


class FailsAfterAnEpoch(Silent):
    """A display that ends process 1."""

    def __init__(self, end: Callable[[], None]) -> None:
        self.end = end

    def epoch(self, *_: object) -> None:
        if os.environ["RANK"] == "1":
            self.end()

    def close(self) -> None:
        pass


def ending(name: str, end: Callable[[], None]) -> Callable[[Path], None]:
    """Train by the command line until process 1 meets its end."""

    def act(folder: Path) -> None:
        training_verb.watcher = lambda *_: FailsAfterAnEpoch(end)  # type: ignore[assignment, return-value]
        events = f"data={folder / 'events.csv'}"
        options = ("--out", str(folder / name), "--threads", "1", "--device", "cpu")
        sys.argv = ["nextitem", "train", "sasrec-ce", events, *SMALL, *options]
        cli.main()

    return act


def interrupt() -> None:
    raise KeyboardInterrupt


def disk_full() -> None:
    raise StorageError("the disk is full")


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


ACTS: dict[str, Callable[[Path], None]] = {
    "trainings": trainings,
    "primitives": primitives,
    "interrupted": ending("interrupted", interrupt),
    "storage": ending("storage", disk_full),
    "killed": ending("killed", kill),
}


def in_two(name: str, folder: Path) -> list[int]:
    """The exit codes of both processes; what they say is in `<name>-<rank>.txt`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            os.dup2(os.open(folder / f"{name}-{rank}.txt", os.O_CREAT | os.O_WRONLY), 2)
            where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"} | where
            ACTS[name](folder)
            os._exit(0)  # an orderly end takes most of a second; failures take it
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    print(json.dumps({name: in_two(name, Path(sys.argv[1])) for name in ACTS}))

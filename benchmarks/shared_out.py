"""What a process holds of a training whose item table is shared out, beside one process that has all of it.

    python benchmarks/shared_out.py                      2,000,000 items of 64 numbers, 4 steps: minutes
    python benchmarks/shared_out.py --items 100000

The same steps are taken by one process and by two that share the rows (gloo, one thread each). Printed are the losses,
and by how much the largest resident set of a process grew since before the model was built.
"""

import argparse
import json
import os
import resource
import socket
import subprocess
import sys

import torch

from nextitem.compute.processes import joined
from nextitem.data.sequences import Sequences
from nextitem.experiment.presets import load_recipe
from nextitem.model.sharded import ShardedModel
from nextitem.training.fit import fit_model
from nextitem.training.session import Session

STEPS, ROWS, LENGTH = 4, 8, 10


def steps(items: int, dim: int) -> None:
    """Take the steps in this process, which may be one of several, and print what came of them."""
    torch.set_num_threads(1)
    draws = torch.Generator().manual_seed(0)
    histories = Sequences.of(torch.randint(items, (STEPS * ROWS, LENGTH + 1), generator=draws).tolist(), items)
    settings = ("training.epochs=2", f"training.batch_size={ROWS}", "training.patience=none", "encoder.dropout=0")
    recipe = load_recipe("sasrec-ce", f"encoder.dim={dim}", f"objective.maximum_length={LENGTH}", *settings).sequence
    # One small step first: what libraries take is not the model's.
    fit_model(
        recipe.build(100, 0),
        Sequences.of([[*range(LENGTH)]], 100),
        recipe.loss.build(),
        recipe.training,
        Session(0),
        None,
    )
    with joined(torch.device("cpu")) as processes:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        model = recipe.build(items, 0)
        trained = model if processes.size == 1 else ShardedModel(model, processes)
        del model
        history = fit_model(trained, histories, recipe.loss.build(), recipe.training, Session(0, processes), None)
        grew = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        seconds = sum(epoch.train_seconds for epoch in history.epochs)
        losses = [epoch.train_loss for epoch in history.epochs]
        print(json.dumps({"rank": processes.rank, "losses": losses, "mb": grew / 1024, "seconds": seconds}), flush=True)


def of(processes: int, words: list[str]) -> list[dict[str, float]]:
    """What each of so many processes prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {
        "WORLD_SIZE": f"{processes}",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": f"{port}",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    started = [
        subprocess.Popen(
            (sys.executable, __file__, "--take", *words), stdout=subprocess.PIPE, text=True,
            env={**os.environ, **group, "RANK": f"{rank}", "LOCAL_RANK": f"{rank}", "OMP_NUM_THREADS": "1"},
        )
        for rank in range(processes)
    ]  # fmt: skip
    return [json.loads(one.communicate()[0]) for one in started]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=2_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--take", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.take:
        steps(asked.items, asked.dim)
        return
    words = ["--items", f"{asked.items}", "--dim", f"{asked.dim}"]
    (alone,), two = of(1, words), of(2, words)
    for name, one in (("one process", alone), ("each of two", max(two, key=lambda one: one["mb"]))):
        print(f"{name}: {one['mb']:,.0f} MB, {one['seconds']:.1f} s, losses {one['losses']}")
    difference = max(abs(a - b) / a for a, b in zip(alone["losses"], two[0]["losses"], strict=True))
    share = max(one["mb"] for one in two) / alone["mb"]
    print(f"{asked.items:,} items: memory {share:.2f} times, losses differ by {difference:.1e}")


if __name__ == "__main__":
    main()

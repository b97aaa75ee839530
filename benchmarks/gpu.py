"""What a GPU makes of a training: python benchmarks/gpu.py [--runs RUN…] [--json FILE].

1. The chip's own rate: the best of some square matrix products in float32, TF32 and bfloat16.
2. Steps of the three models that matter on random events in the shapes of MovieLens-1M and Beauty: seconds a step, and
   the share of the chip's rate that the counted floating-point operations of an epoch make.
3. Seconds of training and validation until 98 % of the best validation NDCG@10 of other runs, such as those of a CPU:
   for each finished run named by --runs, its recipe is trained again here, on its data (NEXTITEM_DATA).
4. The full softmax, loss and gradients, beside torch's linear_cross_entropy (torch >= 2.13) and plain autograd.
5. The full softmax over a million items, and its peak memory.

--quick makes everything tiny, which shows that it runs and nothing else.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nextitem.compute.processes import Alone
from nextitem.data.events import Events
from nextitem.data.prepare import prepare
from nextitem.data.sequences import Sequences
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.model.items.tied import TiedItems
from nextitem.model.losses.cross_entropy import CrossEntropyLoss
from nextitem.training.fit import fit_model
from nextitem.training.history import Epoch, History
from nextitem.training.session import Session

PRECISIONS = ("float32", "tf32", "bfloat16")
RECIPES = ("sasrec-ce", "sasrec-3000", "bert4rec")
SHARE = 0.98
WIDTH = 64
Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    matrix: int = 8192
    data: tuple[tuple[str, int, int, float], ...] = (("ml-1m", 6_040, 3_416, 163.5), ("beauty", 40_226, 54_542, 6.8))
    losses: tuple[tuple[int, int], ...] = ((13_500, 3_416), (720, 54_542))
    million: tuple[int, int] = (13_500, 1_000_000)
    repeats: int = 20


QUICK = Size(128, (("quick", 40, 4_000, 6.0),), ((64, 300),), (64, 1_000), 2)


def timed(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median seconds of `work`, waited for, after one call that is not counted."""
    taken = []
    for _ in range(repeats + 1):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak(work: Callable[[], object], device: torch.device) -> float | None:
    """GB that `work` holds at most on a GPU beside what is there before; elsewhere nobody counts."""
    if device.type != "cuda":
        work()
        return None
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return round((torch.cuda.max_memory_allocated() - before) / 1e9, 3)


def rates(size: Size, device: torch.device) -> dict[str, float]:
    """Floating-point operations a second by precision."""
    found = {}
    for precision in PRECISIONS if device.type == "cuda" else ("float32", "bfloat16"):
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        left, right = (torch.randn(size.matrix, size.matrix, device=device, dtype=dtype) for _ in range(2))
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        found[precision] = 2 * size.matrix**3 / timed(lambda a=left, b=right: a @ b, device, size.repeats)
        torch.set_float32_matmul_precision(before)
    return found


def random_events(users: int, items: int, mean_length: float) -> Sequences:
    """Histories of at least three random items; lengths fall off as an exponential does."""
    lengths_U = (torch.empty(users).exponential_() * (mean_length - 3) + 3).long()
    stops_U = lengths_U.cumsum(0)
    events = torch.randint(items, (int(stops_U[-1]),))
    return Sequences(Events(events, items), stops_U - lengths_U, stops_U, torch.arange(users))


def steps(size: Size, device: torch.device, precisions: Iterable[str], rate: dict[str, float]) -> list[Row]:
    rows = []
    for data, users, items, mean_length in size.data:
        train = random_events(users, items, mean_length)
        for name in RECIPES:
            for precision in precisions:
                overrides = ["training.patience=none", "training.epochs=1", f"training.precision={precision}"]
                if name != "sasrec-3000" and precision == "bfloat16":
                    overrides.append("loss.precision=bfloat16")
                if data != "quick":
                    overrides.append(f"data={data}")
                recipe = load_recipe(name, *overrides)
                with FlopCounterMode(display=False) as counter:
                    epoch(recipe, train, device)
                seconds = epoch(recipe, train, device)  # the chip is warm now
                count = -(-users // recipe.sequence.training.batch_size)
                share = counter.get_total_flops() / seconds / rate[precision]
                rows.append(
                    {"data": data, "recipe": name, "precision": precision, "steps": count,
                     "ms a step": round(seconds / count * 1e3, 3), "share of rate": round(share, 4)}
                )  # fmt: skip
    return rows


def epoch(recipe: Recipe, train: Sequences, device: torch.device) -> float:
    """Seconds of one epoch of training."""
    model = recipe.sequence.build(train.number_of_items, 0).to(device)
    negatives = None if recipe.sequence.negatives is None else recipe.sequence.negatives.build(train.to(device))
    return fit_model(
        model, train, recipe.sequence.loss.build(), recipe.sequence.training, Session(0), None, negatives=negatives
    ).train_seconds


class _Reached(Exception):  # noqa: N818 - it is what is hoped for
    pass


class _Until:
    """Ends a training at a validation value."""

    def __init__(self, monitor: str, value: float) -> None:
        self.monitor, self.value, self.best = monitor, value, 0.0
        self.started, self.epochs, self.seconds = time.perf_counter(), 0, 0.0

    def step(self, epoch: int, step: int, steps: int) -> None: ...

    def epoch(self, epoch: Epoch, history: History) -> None:
        self.best = max(self.best, epoch.validation[self.monitor])
        self.epochs, self.seconds = epoch.epoch, time.perf_counter() - self.started
        if self.best >= self.value:
            raise _Reached


def qualities(folders: Iterable[Path], device: torch.device, precisions: Iterable[str]) -> list[Row]:
    """Seconds until 98 % of the best validation value of each run; data is read before, models are built within."""
    rows = []
    for folder in folders:
        recipe = Recipe.model_validate_json((folder / "recipe.json").read_text(encoding="utf-8"))
        monitor, prepared = recipe.sequence.training.monitor, prepare(recipe)
        lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
        best = max(json.loads(line)["validation"][monitor] for line in lines)
        for precision in precisions:
            training = recipe.sequence.training.model_copy(update={"precision": precision})
            until = _Until(monitor, SHARE * best)
            with suppress(_Reached):
                session = Session(0, Alone(device), until)
                run(
                    recipe.model_copy(update={"model": recipe.sequence.model_copy(update={"training": training})}),
                    session,
                    prepared=prepared,
                )
            rows.append(
                {"data": Path(recipe.data).name, "recipe": recipe.name, "precision": precision, "monitor": monitor,
                 "wanted": round(until.value, 5), "reached": round(until.best, 5), "epochs": until.epochs,
                 "seconds": round(until.seconds, 2) if until.best >= until.value else None}
            )  # fmt: skip
    return rows


def losses(shapes: Iterable[tuple[int, int]], device: torch.device, repeats: int, *, ours_only: bool) -> list[Row]:
    rows = []
    for positions, number_of_items in shapes:
        items = TiedItems(number_of_items, WIDTH).to(device)
        states_Te = torch.randn(positions, WIDTH, device=device, requires_grad=True)
        targets_T = torch.randint(number_of_items, (positions,), device=device)
        for name, loss in forms(ours_only=ours_only).items():

            def work(
                loss: Callable[[Tensor, Tensor, TiedItems], Tensor] = loss,
                states_Te: Tensor = states_Te,
                targets_T: Tensor = targets_T,
                items: TiedItems = items,
            ) -> None:
                torch.autograd.grad(loss(states_Te, targets_T, items), (states_Te, items.weight_Nd))

            memory = peak(work, device)
            seconds = timed(work, device, repeats)
            rows.append(
                {"positions": positions, "items": number_of_items, "form": name, "ms": round(seconds * 1e3, 3),
                 "peak GB": memory}
            )  # fmt: skip
    return rows


def forms(*, ours_only: bool) -> dict[str, Callable[[Tensor, Tensor, TiedItems], Tensor]]:
    found: dict[str, Callable[[Tensor, Tensor, TiedItems], Tensor]] = {
        "ours": CrossEntropyLoss(),
        "ours, bfloat16": CrossEntropyLoss(precision="bfloat16"),
    }
    if ours_only:
        return found
    functional = torch.nn.functional

    def plain(states_Te: Tensor, targets_T: Tensor, items: TiedItems) -> Tensor:
        return functional.cross_entropy(states_Te @ items.weight_Nd.T, targets_T, reduction="sum")

    found["autograd"] = plain
    theirs = getattr(functional, "linear_cross_entropy", None)
    if theirs is not None:
        options = torch.nn.LinearCrossEntropyOptions()
        for name, option in (("linear_cross_entropy", None), ("linear_cross_entropy, chunked", options)):

            def linear(states_Te: Tensor, targets_T: Tensor, items: TiedItems, option: Any = option) -> Tensor:
                return theirs(states_Te, items.weight_Nd, targets_T, reduction="sum", options=option)  # type: ignore[no-any-return]

            found[name] = linear
    return found


def show(title: str, rows: list[Row]) -> None:
    print(f"\n{title}\n")
    if not rows:
        return
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join("–" if value is None else str(value) for value in row.values()) + " |")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--runs", nargs="*", type=Path, default=[], help="folders of finished runs to catch up with")
    parser.add_argument("--precision", nargs="*", choices=PRECISIONS, help="default: all; on a CPU float32")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run?")
    parser.add_argument("--json", type=Path, help="write everything into this file too")
    chosen = parser.parse_args(arguments)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("this torch sees no CUDA device; --device cpu --quick shows that the benchmark runs")
    device, size = torch.device(chosen.device), QUICK if chosen.quick else Size()
    precisions = chosen.precision or (PRECISIONS if device.type == "cuda" else ("float32",))
    torch.manual_seed(0)
    chip = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{chip}, torch {torch.__version__}")
    rate = rates(size, device)
    found: dict[str, list[Row]] = {}
    parts: dict[str, Callable[[], list[Row]]] = {
        "Rates": lambda: [{"precision": name, "TFLOP/s": round(value / 1e12, 3)} for name, value in rate.items()],
        "Full softmax": lambda: losses(size.losses, device, size.repeats, ours_only=False),
        "A million items": lambda: losses([size.million], device, 3, ours_only=True),
        "Steps": lambda: steps(size, device, precisions, rate),
        f"Seconds to {SHARE:.0%} of the best validation value": lambda: qualities(chosen.runs, device, precisions),
    }
    for title, part in parts.items():
        found[title] = part()
        show(title, found[title])
    if chosen.json is not None:
        chosen.json.write_text(json.dumps({"chip": chip, "torch": torch.__version__, **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()

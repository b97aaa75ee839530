"""How far ranks and lists are from the time of their product alone: python benchmarks/ranking.py --threads 2.

C random states and N random items of width 64 stand for a model. The floor is 2 · C · N · d divided by the rate of the
machine's matrix product, which is measured right before each row; "naive" is topk, or a sort, over whole rows. The
number of cases can be cut by --share, as every block of cases takes the same time; few cases repeat more of the work.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from nextitem.data.events import Events
from nextitem.data.sequences import Sequences
from nextitem.evaluation.ranks import target_ranks, top_k
from nextitem.model.items.tied import TiedItems
from nextitem.model.state_query import StateQuery

SHAPES = {"beauty": (40_226, 54_542, 8), "ml-1m": (6_040, 3_416, 165), "million": (10_000, 1_000_000, 10)}
WIDTH = 64
NAIVE_CASES, NAIVE_ROWS = 512, 32


def gemm_rate() -> float:
    """Floating-point operations a second of the best of some products that fit a cache."""
    left, right, out = torch.randn(1024, WIDTH), torch.randn(1024, WIDTH), torch.empty(1024, 1024)
    return 2 * out.numel() * WIDTH / min(seconds(lambda: torch.mm(left, right.T, out=out)) for _ in range(200))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def random_cases(cases: int, items: int, length: int) -> tuple[StateQuery, Tensor, Sequences]:
    starts_C = torch.arange(cases) * length
    seen = Sequences(
        Events(torch.randint(items, (cases * length,)), items), starts_C, starts_C + length, torch.arange(cases)
    )
    return StateQuery(torch.randn(cases, WIDTH), TiedItems(items, WIDTH)), torch.randint(items, (cases,)), seen


def naive(query: StateQuery, best: Callable[[Tensor], object]) -> None:
    for rows in torch.arange(len(query)).split(NAIVE_ROWS):
        best(query.select(rows).scores(0, query.number_of_items))


def measure(shape: str, share: float, k: int, repeats: int) -> None:
    cases, items, length = SHAPES[shape]
    query, targets_C, seen = random_cases(round(cases * share), items, length)
    few = query.select(torch.arange(min(NAIVE_CASES, len(query))))
    works: dict[str, tuple[int, Callable[[], object]]] = {
        "ranks": (len(query), lambda: target_ranks(query, targets_C, seen)),
        f"top-{k}": (len(query), lambda: top_k(query, k, seen)),
        "naive topk": (len(few), lambda: naive(few, lambda scores: scores.topk(min(k, items), dim=1))),
        "naive sort": (len(few), lambda: naive(few, lambda scores: scores.sort(dim=1, descending=True))),
    }
    for name, (number, work) in works.items():
        rate = gemm_rate()
        taken = statistics.median(seconds(work) for _ in range(repeats))
        floor = 2 * number * items * WIDTH / rate
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
        print(
            f"| {shape} | {name} | {number:,} × {items:,} | {rate / 1e9:.0f} | {floor:.2f} | {taken:.2f} "
            f"| {taken / floor:.2f} | {peak:,.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=list(SHAPES), metavar="shape", help=", ".join(SHAPES))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--share", type=float, default=1.0, help="share of the cases that are ranked")
    parser.add_argument("-k", type=int, default=10, help="length of the lists")
    parser.add_argument("--repeats", type=int, default=1, help="the median is shown")
    arguments = parser.parse_args()
    for shape in arguments.shapes:
        if shape not in SHAPES:
            parser.error(f"unknown shape '{shape}'; known are {', '.join(SHAPES)}")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {arguments.threads} threads, width {WIDTH}\n")
    print("| shape | what | cases × items | GFLOP/s | floor, s | seconds | × floor | peak so far, MiB |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    for shape in arguments.shapes:
        measure(shape, arguments.share, arguments.k, arguments.repeats)


if __name__ == "__main__":
    main()

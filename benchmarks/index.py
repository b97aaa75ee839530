"""An index beside exact lists: recall, time of a list, building and memory by size of the catalogue.

    python benchmarks/index.py --like runs/RUN --sizes 10000,30000,100000,300000,1000000,5000000
    python benchmarks/index.py --sizes 10000,100000      # Gaussian vectors: the hard case

Vectors are drawn. `--like` a run: each is one of the run's trained item vectors moved by a draw of their own
covariance, and what is asked are the run's states after its users' histories; a catalogue no larger than the run's is
its own items. Without, vectors and states are Gaussian: none is near to another, and no trained table is as hard.

Times are of one list of ten, one thread, exact and by the index in turns of twenty. Breadth and cells are the fewest
with which the share of exact lists that was asked for is found, in queries that did not choose them.
"""

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from machine import description
from torch import Tensor

from nextitem import read_run
from nextitem.model.layers.products import Products
from nextitem.serving.answering.by_index import found_by
from nextitem.serving.answering.listing import ranked
from nextitem.serving.indexed.cells import Cells, coded
from nextitem.serving.indexed.index import IndexFacts, ItemIndex
from nextitem.serving.indexing import Trials, product_table
from nextitem.serving.known import Known
from nextitem.serving.narrowing.allowed import ALL

K, QUERIES, WIDTH, SPREAD = 10, 400, 64, 0.5
TURN = 20  # lists that are made one way before as many are made the other: each way finds its own in the caches


@dataclass(frozen=True)
class World:
    """Vectors of any number, always the same ones, and states that ask for them."""

    states_Qe: Tensor
    trained_Ne: Tensor | None = None

    @classmethod
    def of(cls, like: Path | None) -> "World":
        if like is None:
            return cls(torch.randn(QUERIES, WIDTH, generator=torch.Generator().manual_seed(0)))
        known = Known.of_run(read_run(like))
        return cls(Trials.of(known, K, QUERIES).query.vectors(), product_table(known))

    def vectors(self, number: int) -> Tensor:
        """The first so many."""
        if self.trained_Ne is None:
            return torch.randn(number, WIDTH, generator=torch.Generator().manual_seed(1))
        trained_Ne, draws = self.trained_Ne, torch.Generator().manual_seed(1)
        more = max(0, number - len(trained_Ne))
        scale_ee = torch.linalg.cholesky(torch.cov(trained_Ne.T) + 1e-6 * torch.eye(trained_Ne.shape[1]))
        parts = [trained_Ne[torch.randperm(len(trained_Ne), generator=draws)]]
        for _ in range(0, more, size := 1 << 20):
            near = torch.randint(len(trained_Ne), (size,), generator=draws)
            parts.append(trained_Ne[near] + SPREAD * torch.randn(size, len(scale_ee), generator=draws) @ scale_ee.T)
        return torch.cat(parts)[:number]


def measured(world: World, size: int, table_Ne: Tensor, arguments: argparse.Namespace) -> str:
    """A row: the index of the first so many vectors, made and measured."""
    clock = time.process_time if arguments.cpu else time.perf_counter
    began = time.process_time()
    made = coded(table_Ne[:size], threads=arguments.threads)
    built = time.process_time() - began
    written, held = sum(array.nbytes for array in vars(made).values()), resident()
    cells = Cells(made)
    held = resident() - held
    query = Products(world.states_Qe, table_Ne[:size])
    trials = Trials(query, [[]] * len(query), ranked(query, K, None, None), K)
    facts = IndexFacts(
        weights="0" * 64, items=size, width=table_Ne.shape[1], cells=cells.cells, k=K, asked=arguments.recall,
        recall=0.0, breadth=1, entered=1, queries=len(query), build_seconds=0.0, exact_ms=0.0, index_ms=0.0,
    )  # fmt: skip
    facts = trials.measured(facts, cells)
    exact, by_index = times(query, ItemIndex(facts, cells=cells), arguments.timed, clock)
    (a, b), (c, d) = (np.percentile(each, (50, 99)).tolist() for each in (exact, by_index))
    return (
        f"| {size:,} | {facts.recall:.4f} | {facts.breadth:,} | {facts.entered:,} of {facts.cells:,} "
        f"| {a:.2f}, {b:.2f} "
        f"| {c:.2f}, {d:.2f} | {a / c:.1f}, {b / d:.1f} | {built:,.1f} | {written / 1e6:,.0f}, {held / 1e6:,.0f} "
        f"| {size * table_Ne.shape[1] * 4 / 1e6:,.0f} |"
    )


def resident() -> int:
    """Bytes of memory that the process has by now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def times(query: Products, index: ItemIndex, timed: int, clock: Callable[[], float]) -> tuple[list[float], list[float]]:
    """(of exact lists, of lists by the index), in milliseconds, in turns of twenty."""
    ways: tuple[Callable[[Products], object], ...] = (
        lambda one: ranked(one, K, None, None),
        lambda one: found_by(index, one, K, [[]], ALL),
    )
    took: tuple[list[float], list[float]] = ([], [])
    for start in range(0, min(timed, len(query)), TURN):
        for way, mine in zip(ways, took, strict=True):
            for row in range(start, min(start + TURN, len(query))):
                one = query.select(torch.tensor([row]))
                began = clock()
                way(one)
                mine.append(1000 * (clock() - began))
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--like", type=Path, help="run whose vectors and states are those of the catalogue")
    parser.add_argument("--sizes", default="10000,30000,100000,300000,1000000,5000000", help="items, between commas")
    parser.add_argument("--recall", type=float, default=0.99)
    parser.add_argument("--timed", type=int, default=200, help="lists that are timed at each size")
    parser.add_argument("--cpu", action="store_true", help="time lists by CPU time: on a machine that others use")
    parser.add_argument("--threads", type=int, default=1, help="that make the index; lists are made by one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    world, sizes = World.of(arguments.like), sorted(map(int, arguments.sizes.split(",")))
    timed_by = "CPU time, " if arguments.cpu else ""
    print(f"{description(1)}, {timed_by}lists of {K}, recall {arguments.recall:g} asked for\n")
    print(
        "| items | recall@10 | looked at | cells entered | exact: p50, p99, ms | by the index: p50, p99, ms "
        "| exact / index: p50, p99 | built in CPU s | file, memory, MB | table, MB |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    table_Ne = world.vectors(max(sizes))
    for size in sizes:
        print(measured(world, size, table_Ne, arguments), flush=True)


if __name__ == "__main__":
    main()

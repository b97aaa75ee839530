"""An index beside exact lists: recall, time of a list, building and memory by size of the catalogue.

    python benchmarks/index.py --folder out --like runs/RUN --sizes 10000,30000,100000,300000,1000000,5000000
    python benchmarks/index.py --folder out --sizes 10000,100000      # Gaussian vectors: the hard case
    python benchmarks/index.py --folder out --like runs/RUN --measure # of what was built before

Vectors are drawn. `--like` a run: each is one of the run's trained item vectors moved by a draw of their own
covariance, and what is asked are the run's states after its users' histories; a catalogue no larger than the run's is
its own items. Without, vectors and states are Gaussian: none is near to another, and no trained table is as hard.

One graph grows from size to size. It is written at each size and after `--seconds`, from where the next call with the
same largest size goes on. Times are of one list of ten, one thread, exact and by the index in turns. The breadth is the
smallest with which the share of exact lists that was asked for is found, in queries that did not choose it.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
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
from nextitem.serving.indexed.graph import Graph, longest
from nextitem.serving.indexed.index import IndexFacts, ItemIndex
from nextitem.serving.indexing import BREADTHS, Trials, product_table
from nextitem.serving.known import Known
from nextitem.serving.narrowing.allowed import ALL
from nextitem.storage import whole_file, write_text

K, QUERIES, WIDTH, SPREAD = 10, 400, 64, 0.5


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


def build(world: World, sizes: list[int], folder: Path, threads: int, seconds: float) -> None:
    """Grow a graph to each size and leave it in the folder, with what that took; after so many seconds go on later."""
    missing = [size for size in sizes if not (folder / f"{size}.json").exists()]
    if not missing:
        return
    table_Ne, until = world.vectors(max(sizes)), time.monotonic() + seconds
    length, graph, spent = longest(table_Ne), Graph.empty(table_Ne.shape[1]), 0.0
    begun = max(
        (json.loads(file.read_text()) for file in folder.glob("*.json")), key=lambda one: one["items"], default=None
    )
    if begun is not None:
        graph, spent = Graph.opened(folder / begun["graph"], to_add=True), begun["cpu"]
    began = time.process_time() - spent
    for size in missing:
        while len(graph) < size and time.monotonic() < until:
            start = len(graph)
            graph.add(table_Ne[start : min(start + 20_000, size)], length, threads=threads)
            print(f"{len(graph):,} of {size:,}, CPU {time.process_time() - began:,.0f} s", flush=True)
        name = str(size) if len(graph) == size else "growing"
        with whole_file(folder / f"{name}.graph") as draft:
            graph.write(draft)
        facts = {
            "items": len(graph),
            "graph": f"{name}.graph",
            "cpu": time.process_time() - began,
        }
        write_text(folder / f"{name}.json", json.dumps(facts))
        if len(graph) < size:
            return


def facts_of(size: int, width: int, breadth: int) -> IndexFacts:
    return IndexFacts(
        weights="0" * 64, items=size, width=width, numbers="bf16", k=K, asked=1.0, recall=0.0, breadth=breadth,
        queries=QUERIES, build_seconds=0.0, exact_ms=0.0, index_ms=0.0,
    )  # fmt: skip


def measure(
    world: World, sizes: list[int], folder: Path, asked: float, timed: int, clock: Callable[[], float]
) -> Iterator[str]:
    """A row for each size that was built."""
    table_Ne = world.vectors(max(sizes))
    for size in sizes:
        if not (folder / f"{size}.json").exists():
            continue
        built, graph = json.loads((folder / f"{size}.json").read_text()), Graph.opened(folder / f"{size}.graph")
        query = Products(world.states_Qe, table_Ne[:size])
        trials = Trials(query, [[]] * len(query), ranked(query, K, None, None), K)
        recall, index, places = (
            0.0,
            ItemIndex(facts_of(size, graph.width, BREADTHS[0]), graph=graph),
            torch.arange(len(query)),
        )
        for breadth in (one for one in BREADTHS if one <= index.facts.items):
            index = ItemIndex(facts_of(size, graph.width, breadth), graph=graph)
            recall = trials.recall(index, places[::2])
            if recall >= asked and (recall := trials.recall(index, places[1::2])) >= asked:
                break
        written = (folder / f"{size}.graph").stat().st_size
        exact, by_index = times(query, index, timed, clock)
        (a, b), (c, d) = (np.percentile(each, (50, 99)).tolist() for each in (exact, by_index))
        yield (
            f"| {size:,} | {recall:.4f} | {index.facts.breadth:,} | {a:.2f} | {b:.2f} | {c:.2f} | {d:.2f} "
            f"| {a / c:.1f} | {built['cpu']:,.0f} | {written / 1e6:,.0f} | {size * graph.width * 4 / 1e6:,.0f} |"
        )


def times(query: Products, index: ItemIndex, timed: int, clock: Callable[[], float]) -> tuple[list[float], list[float]]:
    """(of exact lists, of lists by the index), in milliseconds, in turns."""
    exact, by_index = list[float](), list[float]()
    for row in range(min(timed, len(query))):
        one = query.select(torch.tensor([row]))
        began = clock()
        ranked(one, K, None, None)
        between = clock()
        found_by(index, one, K, [[]], ALL)
        exact.append(1000 * (between - began))
        by_index.append(1000 * (clock() - between))
    return exact, by_index


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where graphs are kept")
    parser.add_argument("--like", type=Path, help="run whose vectors and states are those of the catalogue")
    parser.add_argument("--sizes", default="10000,30000,100000,300000,1000000,5000000", help="items, between commas")
    parser.add_argument("--recall", type=float, default=0.99)
    parser.add_argument("--timed", type=int, default=100, help="lists that are timed at each size")
    parser.add_argument("--cpu", action="store_true", help="time lists by CPU time: on a machine that others use")
    parser.add_argument("--build", action="store_true", help="only grow the graphs")
    parser.add_argument("--threads", type=int, default=1, help="that grow the graphs; lists are made by one")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="grow no longer, and go on in the next call"
    )
    parser.add_argument("--measure", action="store_true", help="only what was built before")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    world, sizes = World.of(arguments.like), sorted(map(int, arguments.sizes.split(",")))
    if not arguments.measure:
        build(world, sizes, arguments.folder, arguments.threads, arguments.seconds)
    if arguments.build:
        return
    clock = time.process_time if arguments.cpu else time.perf_counter
    timed_by = "CPU time, " if arguments.cpu else ""
    print(f"{description(1)}, {timed_by}lists of {K}, recall {arguments.recall:g} asked for\n")
    print(
        "| items | recall@10 | looked at | exact p50, ms | p99 | index p50, ms | p99 | × | build, CPU s | MB | table |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for row in measure(world, sizes, arguments.folder, arguments.recall, arguments.timed, clock):
        print(row, flush=True)


if __name__ == "__main__":
    main()

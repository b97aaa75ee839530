"""Whether explanations name what caused an event, on a log whose law is known: python benchmarks/explanations.py RUN.

A film of `synthetic` comes from one term of the law in nextitem.data.datasets.synthetic: it may be a successor of the
latest film a, of b before it or of c before that; or it comes from a niche, from taste or from popularity. For each
user's last film (the target of the leave-one-out test, which no run has learnt) the law gives the share of each term.
Where a successor term has at least half, its film is the cause. `explain` is asked about the target after the history
before it, and the item that it names first is compared with the cause.

Chance names each film of the history alike, 1 / its length. "the latest film" always names a. "the law" is explained in
the place of a model: more cannot be asked for, since leaving a film out moves those before it. RUN are folders of runs
on `synthetic`, as `nextitem train sasrec-ce --seed 0` leaves them; below several stands their mean. Intervals (95 %)
are bootstrapped over cases.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nextitem.data.datasets.synthetic import LAGS, SyntheticLog, TrueTransitions, generate
from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Catalog, Log, index
from nextitem.data.sequences import Sequences
from nextitem.evaluation.intervals import percentiles, user_means
from nextitem.experiment.folder.reading import read_run
from nextitem.serving.known import Known
from nextitem.serving.question import Question, Terms
from nextitem.serving.recommender import Recommender

LEAST_SHARE = 0.5  # of the law, for a film to be the cause
NAMES = ("a", "b", "c")  # the latest film, the one before it, and the one before that


@dataclass(frozen=True)
class Case:
    """A target whose cause is known."""

    user: str
    history: list[str]
    target: str
    lag: int
    """Which film from the end of the history caused it, from 0."""


def shares(log: SyntheticLog, histories: Sequences, targets_C: Tensor) -> Tensor:
    """The share of the law that each successor term has in p(target), shape (C, 3); rows of `titles` are films."""
    recent = torch.full((len(histories), LAGS), -1)
    for lag in range(LAGS):
        is_there = histories.lengths_U > lag
        recent[is_there, lag] = histories.at(histories.stops_U[is_there] - lag - 1)
    terms = log.cinema.term_shares(log.tastes_UM[histories.users_U.numpy()], recent.numpy())
    targets, rows = targets_C.numpy(), np.arange(len(histories))
    niches = log.cinema.niche_N[targets]
    rest = terms[rows, LAGS + niches] * log.cinema.within_N[targets]
    of_lag = np.stack(
        [
            terms[:, lag]
            * (log.cinema.successor_shares_NK[films] * (log.cinema.successors_NK[films] == targets[:, None])).sum(1)
            for lag, films in enumerate(recent.numpy().T)
        ],
        1,
    )
    return torch.from_numpy(of_lag / (of_lag.sum(1) + rest)[:, None])


def cases_of(generated: SyntheticLog, log: Log, most: int, seed: int) -> list[Case]:
    """The last events of users drawn at random that have a cause, at most so many."""
    films_N = Catalog(generated.titles["item"]).index(log.items.ids)
    sequences = log.sequences
    order = torch.randperm(len(sequences), generator=torch.Generator().manual_seed(seed))
    chosen = sequences.select(order)
    targets = chosen.at(chosen.stops_U - 1)
    histories = chosen.without_last(1)
    in_films = Sequences.of(
        [films_N[torch.tensor(one)].tolist() for one in histories.tolist()], generated.titles.height
    )
    in_films.users_U.copy_(histories.users_U)  # users are numbered alike: their ids are padded with zeros
    share_C3 = shares(generated, in_films, films_N[targets])
    best_C, lag_C = share_C3.max(1)
    users, items = log.users.ids.to_list(), log.items.ids.to_list()
    return [
        Case(users[user], [items[item] for item in history], items[target], lag)
        for user, history, target, share, lag in zip(
            histories.users_U.tolist(),
            histories.tolist(),
            targets.tolist(),
            best_C.tolist(),
            lag_C.tolist(),
            strict=True,
        )
        if share >= LEAST_SHARE
    ][:most]


def named_first(recommender: Recommender, cases: Sequence[Case]) -> Tensor:
    """Whether `explain` names the cause of each case first, shape (C,) float64."""
    hits = []
    for case in cases:
        terms = Terms(histories_only=True)  # what is stored goes on to the target itself
        question = Question(case.history, user=case.user, k=1, terms=terms)
        (explained,) = recommender.explain(question, [case.target]).items
        hits.append(explained.carriers[0].item == case.history[-1 - case.lag])
    return torch.tensor(hits, dtype=torch.float64)


def row(name: str, hits_C: Tensor, cases: Sequence[Case]) -> str:
    """Hits, the ratio to chance with its interval, and the hits by which film was the cause."""
    chance_C = torch.tensor([1 / len(case.history) for case in cases], dtype=torch.float64)
    means_R2 = user_means(torch.stack([hits_C, chance_C], 1), torch.Generator().manual_seed(0), 1000)
    low, high = percentiles(means_R2[:, :1] / means_R2[:, 1:])[0].tolist()
    lags_C = torch.tensor([case.lag for case in cases])
    by_lag = [
        f"{float(hits_C[lags_C == lag].mean()) / float(chance_C[lags_C == lag].mean()):.1f}" for lag in range(LAGS)
    ]
    ratio = float(hits_C.mean() / chance_C.mean())
    return f"| {name} | {hits_C.mean():.3f} | **{ratio:.1f}** [{low:.1f}, {high:.1f}] | {' | '.join(by_lag)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folder of a run on synthetic")
    parser.add_argument("--cases", type=int, default=10_000, help="at most so many cases")
    parser.add_argument("--seed", type=int, default=0, help="of which users are asked about")
    arguments = parser.parse_args()
    generated = generate()
    log = index(generated.interactions)
    cases = cases_of(generated, log, arguments.cases, arguments.seed)
    counts = [sum(case.lag == lag for case in cases) for lag in range(LAGS)]
    chance = sum(1 / len(case.history) for case in cases) / len(cases)
    print(f"{len(cases):,} cases, caused by {', '.join(f'{n}: {c:,}' for n, c in zip(NAMES, counts, strict=True))}")
    print(f"torch {torch.__version__}, chance {chance:.3f}\n")
    print("| explained | cause named first | × chance | × chance, cause a | b | c |")
    print("|---|---:|---:|---:|---:|---:|")
    print(row("the latest film", torch.tensor([case.lag == 0 for case in cases]).double(), cases))
    features, counts_N = ItemFeatures.none(log.items.ids), log.sequences.counts()
    law = Known(TrueTransitions(generated, log.users, log.items), features, counts_N, log.users, log.sequences)
    print(row("the law", named_first(Recommender(law), cases), cases), flush=True)
    found = []
    for folder in arguments.runs:
        run = read_run(folder)
        found.append(named_first(Recommender.from_run(run), cases))
        print(row(f"{run.recipe.name}, seed {run.seed}", found[-1], cases), flush=True)
    if len(found) > 1:
        print(row(f"mean of {len(found)} runs", torch.stack(found).mean(0), cases))


if __name__ == "__main__":
    main()

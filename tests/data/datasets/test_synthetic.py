import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import torch

from nextitem.data.datasets.synthetic import SyntheticLog, TrueTransitions, generate
from nextitem.data.events import Events
from nextitem.data.log import Catalog, Log, index
from nextitem.data.sequences import Sequences
from nextitem.data.splits.leave_one_out import LeaveOneOut
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.metrics import hit_rate, ndcg
from nextitem.evaluation.ranks import target_ranks


@pytest.fixture(scope="module")
def full() -> SyntheticLog:
    return generate()


@pytest.fixture(scope="module")
def small() -> SyntheticLog:
    return generate(users=300, items=400, seed=5)


def transitions_of(synthetic: SyntheticLog) -> tuple[TrueTransitions, Log]:
    log = index(synthetic.interactions)
    return TrueTransitions(synthetic, log.users, log.items), log


def every_prefix(sequences: Sequences) -> tuple[Sequences, torch.Tensor]:
    """All histories, the empty ones included, that the views went through, and the event that followed each."""
    rows, targets = sequences.flatten()
    stops = (
        sequences.starts_U[rows] + torch.arange(len(rows)) - (sequences.lengths_U.cumsum(0) - sequences.lengths_U)[rows]
    )
    starts, users = sequences.starts_U[rows], sequences.users_U[rows]
    return Sequences(sequences.events, starts, stops, users), targets


def naive_probabilities(synthetic: SyntheticLog, user: int, history: list[int]) -> list[float]:
    """The formulas of the module, term by term and film by film, from π, the niches, the successors and the tastes."""
    cinema = synthetic.cinema
    films = range(len(cinema.niche_N))
    popularity = [cinema.popularity_M[cinema.niche_N[i]] * cinema.within_N[i] for i in films]

    def followers(film: int, i: int) -> float:
        pairs = zip(cinema.successors_NK[film], cinema.successor_shares_NK[film], strict=True)
        return sum(share for successor, share in pairs if successor == i)

    mixture = []
    for i in films:
        total = 0.20 * synthetic.tastes_UM[user, cinema.niche_N[i]] * cinema.within_N[i] + 0.10 * popularity[i]
        for lag, share in enumerate([0.30, 0.15, 0.05], start=1):
            total += share * (followers(history[-lag], i) if len(history) >= lag else popularity[i])
        if len(history) >= 2:
            genre, setting = cinema.niche_N[history[-2]] // 6, cinema.niche_N[history[-1]] % 6
            total += 0.20 * (cinema.within_N[i] if cinema.niche_N[i] == 6 * genre + setting else 0.0)
        else:
            total += 0.20 * popularity[i]
        mixture.append(total)
    rest = math.fsum(mixture[i] for i in films if i not in history)
    return [0.0 if i in history else mixture[i] / rest for i in films]


def test_the_same_arguments_give_the_same_log() -> None:
    first, second, other = (generate(users=50, items=400, seed=seed) for seed in (3, 3, 4))
    assert first.interactions.events.equals(second.interactions.events)
    assert first.titles.equals(second.titles)
    assert not first.interactions.events.equals(other.interactions.events)


def test_the_catalogue_does_not_depend_on_the_number_of_users() -> None:
    few, many = generate(users=10, items=400), generate(users=20, items=400)
    assert few.titles.equals(many.titles)
    assert np.array_equal(few.cinema.successors_NK, many.cinema.successors_NK)


def test_the_default_log_has_the_promised_size(full: SyntheticLog) -> None:
    events = full.interactions.events
    lengths = events.group_by("user").len()["len"]
    assert full.interactions.number_of_users == 4000
    assert full.interactions.number_of_items >= 2450  # of 2,500: some rare films remain unwatched
    assert 70_000 < len(full.interactions) < 90_000
    assert (lengths.min(), lengths.max()) == (5, 60)
    assert lengths.median() < 0.9 * len(full.interactions) / 4000  # long-tailed: the mean lies far above the median


def test_ids_sort_in_the_order_of_the_generator(full: SyntheticLog) -> None:
    assert full.titles["item"].is_sorted()
    assert full.titles["item"].to_list()[:2] == ["i0001", "i0002"]
    assert full.interactions.events["user"].min() == "u00001"
    assert full.interactions.events["user"].max() == "u04000"


def test_titles_are_unique_and_tell_the_genre_by_their_adjective(full: SyntheticLog) -> None:
    assert full.titles.columns == ["item", "title", "genre"]
    assert full.titles["title"].n_unique() == 2500
    haunted = full.titles.filter(pl.col("title").str.starts_with("The Haunted "))
    assert haunted["genre"].unique().to_list() == ["Horror"]


def test_the_largest_catalogue_still_has_unique_titles() -> None:
    assert generate(users=1, items=72 * 64).titles["title"].n_unique() == 72 * 64


def test_times_increase_strictly_within_a_user_and_no_film_is_watched_twice(full: SyntheticLog) -> None:
    events = full.interactions.events
    assert events["time"].is_sorted()
    assert full.interactions.tied_events == 0
    assert events.select(pl.struct("user", "item").is_duplicated().any()).item() is False


def test_popularity_falls_like_zipf(full: SyntheticLog) -> None:
    counts = np.sort(full.interactions.events["item"].value_counts()["count"].to_numpy())[::-1]
    ranks = np.arange(1, len(counts) + 1)
    slope = np.polyfit(np.log(ranks[9:2000]), np.log(counts[9:2000]), 1)[0]
    assert -1.15 < slope < -0.85
    assert np.median(counts) < 0.5 * counts.mean()  # half of the films are rare


def test_true_scores_follow_the_formulas(small: SyntheticLog) -> None:
    histories = [[], [7], [7, 300], [7, 300, 8], [11, 399, 0, 250, 31, 5], list(range(40))]
    users = torch.tensor([0, 299, 17, 17, 3, 250])
    sequences = Sequences.of(histories, number_of_items=400)
    sequences = Sequences(sequences.events, sequences.starts_U, sequences.stops_U, users)
    naive = [naive_probabilities(small, user, history) for user, history in zip(users.tolist(), histories, strict=True)]
    expected = torch.tensor(naive, dtype=torch.float64)
    torch.testing.assert_close(small.true_scores(sequences), expected, rtol=1e-10, atol=1e-15)


def test_a_next_volume_is_the_likeliest_thing_after_an_unpopular_film(full: SyntheticLog) -> None:
    title_of = dict(enumerate(full.titles["title"].to_list()))
    film_of = {title: film for film, title in title_of.items()}
    film = next(film for title, film in film_of.items() if title.endswith(" II") and f"{title}I" in film_of)
    after = full.true_scores(Sequences.of([[film]], number_of_items=2500))[0]
    assert title_of[int(after.argmax())] == f"{title_of[film]}I"
    assert after.max() > 0.30 * 0.6


def test_generated_events_are_as_surprising_as_the_true_scores_expect(small: SyntheticLog) -> None:
    transitions, log = transitions_of(small)
    histories, targets = every_prefix(log.sequences)
    scores = transitions.query(histories).scores(0, len(log.items))
    scores = scores / scores.sum(1, keepdim=True)  # films that nobody watched have no column
    surprise = -scores.log()
    observed = surprise.gather(1, targets[:, None])[:, 0]
    surprise = surprise.nan_to_num(posinf=0.0)
    entropy = (scores * surprise).sum(1)
    variance = (scores * surprise**2).sum(1) - entropy**2
    assert len(targets) > 5000
    assert abs((observed - entropy).sum()) < 4 * variance.sum().sqrt()


def test_true_probabilities_are_frequencies(small: SyntheticLog) -> None:
    transitions, log = transitions_of(small)
    histories, targets = every_prefix(log.sequences)
    scores = transitions.query(histories).scores(0, len(log.items))
    scores = scores / scores.sum(1, keepdim=True)  # films that nobody watched have no column
    is_target = torch.zeros_like(scores).scatter_(1, targets[:, None], 1.0)
    edges = torch.tensor([0, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 1.0], dtype=torch.float64)
    for low, high in pairwise(edges):
        is_inside = (scores > low) & (scores <= high)
        expected = scores[is_inside].sum()
        deviation = (scores[is_inside] * (1 - scores[is_inside])).sum().sqrt()
        assert abs(is_target[is_inside].sum() - expected) < 4 * deviation


def test_true_scores_are_probabilities_and_zero_for_what_was_watched(small: SyntheticLog) -> None:
    transitions, log = transitions_of(small)
    scores = transitions.query(log.sequences).scores(0, len(log.items))
    rows, watched = log.sequences.flatten()
    assert scores.dtype == torch.float64
    assert bool((scores[rows, watched] == 0).all())
    assert bool((scores >= 0).all())
    assert 0.99 < float(scores.sum(1).min()) <= float(scores.sum(1).max()) < 1 + 1e-9


def test_slices_candidates_and_rows_agree(small: SyntheticLog) -> None:
    transitions, log = transitions_of(small)
    query = transitions.query(log.sequences.without_last(1))
    scores = query.scores(0, query.number_of_items)
    candidates = torch.randint(query.number_of_items, (len(query), 7), generator=torch.Generator().manual_seed(0))
    rows = torch.tensor([200, 3, 3])
    assert torch.equal(query.scores(10, 50), scores[:, 10:50])
    assert torch.equal(query.candidate_scores(candidates), scores.gather(1, candidates))
    assert torch.equal(query.select(rows).scores(0, query.number_of_items), scores[rows])
    assert len(query.select(rows)) == 3


def test_no_later_event_changes_a_score(small: SyntheticLog) -> None:
    transitions, log = transitions_of(small)
    past = log.sequences.without_last(3)
    later = log.sequences.events.items.clone()
    later[torch.cat([log.sequences.stops_U - back for back in (1, 2, 3)])] = 0
    changed = Sequences(Events(later, past.number_of_items), past.starts_U, past.stops_U, past.users_U)
    assert not torch.equal(later, log.sequences.events.items)
    assert torch.equal(transitions.query(past).scores(0, 20), transitions.query(changed).scores(0, 20))


def test_scores_follow_the_catalogue_they_are_asked_for(small: SyntheticLog) -> None:
    everything = TrueTransitions(small, Catalog.of(small.interactions.events["user"]), Catalog(small.titles["item"]))
    part = TrueTransitions(small, Catalog(pl.Series(["u00008"])), Catalog(pl.Series(["i0003", "i0100", "i0200"])))
    whole = everything.query(Sequences(Events(torch.tensor([99, 2]), 400), *torch.tensor([[0], [2], [7]]))).scores(
        0, 400
    )
    assert torch.equal(part.query(Sequences.of([[1, 0]], 3)).scores(0, 3), whole[:, [2, 99, 199]])


def test_the_upper_bound_is_the_expected_score_of_the_true_ranking(full: SyntheticLog) -> None:
    transitions, log = transitions_of(full)
    test = LeaveOneOut().split(log.sequences).test
    query = transitions.query(test.histories)
    bound = query.upper_bound(10)
    ranks = target_ranks(query, test.targets_C, test.histories)
    for name, values in (("ndcg@10", ndcg(*ranks, 10)), ("hit_rate@10", hit_rate(*ranks, 10))):
        assert abs(values.mean() - bound[name]) < 4 * values.std() / math.sqrt(len(test))
    assert bound == pytest.approx({"ndcg@10": 0.368, "hit_rate@10": 0.582}, abs=0.01)  # of another seed: 0.364, 0.580


def test_popularity_earns_far_less_than_the_upper_bound(full: SyntheticLog) -> None:
    log = index(full.interactions)
    split = LeaveOneOut().split(log.sequences)
    unseen = split.train.counts().double().repeat(len(split.test), 1)
    unseen[split.test.histories.flatten()] = -1
    above = (unseen > unseen.gather(1, split.test.targets_C[:, None])).sum(1).double()
    assert ndcg(above, torch.zeros_like(above), 10).mean() < 0.06


def test_sizes_that_cannot_be_filled_are_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="10 users and 359 items; ask for 1 to 99,999 users and 360 to 4,608 items"
    ):
        generate(users=10, items=359)
    with pytest.raises(ConfigurationError, match="0 users and 400 items"):
        generate(users=0, items=400)


def test_an_item_from_another_log_is_named(small: SyntheticLog) -> None:
    stranger = TrueTransitions(small, Catalog(pl.Series(["u00001"])), Catalog(pl.Series(["B00X"])))
    with pytest.raises(DataError, match="item 'B00X'"):
        stranger.query(Sequences.of([[0]], 1))

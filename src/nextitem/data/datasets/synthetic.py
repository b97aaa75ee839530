"""A generated cinema log whose true next-film probabilities are known: for `nextitem demo` and the tests.

U users, C cases, N films, M = 72 niches (12 genres × 6 settings), K = 5 successors of a film.

**Catalogue.** Films come in series of 1 to 5 volumes; a series lies in one niche, which shows in its title. Ranked by
appeal (drawn per series, falling with the volume, with noise), the film of rank r has popularity π(i) ∝ 1 / (r + 5).
P(i | n) is π restricted to niche n and normalised. S(a → i), the successors of film a, are its next volume (0.6, where
there is one) and four companions of its genre, drawn ∝ π without replacement, which share the rest 4 : 3 : 2 : 1.

**Users.** Tastes for genres θ_u ~ Dirichlet(0.25) and for settings φ_u ~ Dirichlet(0.5), independent; a history has
⌊x⌋ events, log x ~ Normal(2.76, 0.7), clipped to 5…60 (mean about 19, long-tailed).

**Events.** After history H = (…, c, b, a), a being the latest,

    m(i | u, H) = 0.30 S(a → i) + 0.15 S(b → i) + 0.05 S(c → i)       series and companions, also those left a while ago
                + 0.20 P(i | genre of b, setting of a)                a niche that neither of the two tells alone
                + 0.20 π(i) θ_u(genre of i) φ_u(setting of i) / Z_u   taste, which shows in the whole history
                + 0.10 π(i)                                           what everybody watches
    p(i | u, H) = m(i | u, H) · 1[i ∉ H] / Σ_{j ∉ H} m(j | u, H)      nobody watches a film twice

A term whose films do not exist yet (the first three events) hands its share to π. Times play no part in p. The shares
were fixed on principle, half of them order, before any model was trained on the log. `TrueQuery.upper_bound` expects
NDCG@10 0.368, HR@10 0.582 (leave-one-out test, default sizes) of who knows the generator and each user's taste.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextitem.data.events import Events
from nextitem.data.interactions import Interactions
from nextitem.data.log import Catalog
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

GENRES = {
    "Adventure": "Lost Forgotten Uncharted Perilous Golden Fearless Distant Wandering",
    "Animation": "Tiny Enchanted Giggling Painted Paper Dancing Clockwork Talking",
    "Comedy": "Crooked Clumsy Accidental Reluctant Borrowed Unlikely Ridiculous Overbooked",
    "Crime": "Stolen Guilty Ruthless Bribed Smuggled Counterfeit Blackmailed Wanted",
    "Documentary": "Vanishing Living Everyday Working Unseen Changing Recorded Ordinary",
    "Drama": "Broken Quiet Unspoken Fading Tender Lonely Restless Faithful",
    "Fantasy": "Eternal Moonlit Elven Spellbound Immortal Prophesied Crowned Sleeping",
    "Horror": "Haunted Screaming Cursed Bleeding Hollow Possessed Buried Unholy",
    "Mystery": "Missing Locked Silent Nameless Veiled Vacant Suspicious Secret",
    "Romance": "Beloved Blushing Promised Summer Longing Unanswered Wedding Honeymoon",
    "Science Fiction": "Orbital Quantum Synthetic Galactic Neon Cryogenic Martian Robotic",
    "Thriller": "Deadly Final Hunted Explosive Midnight Burning Fugitive Ticking",
}
SETTINGS = (
    "Lighthouse Harbour Island Voyage Tide Sailor Reef Ferry",
    "Avenue Hotel Skyline Taxi Rooftop Tenement Subway Mayor",
    "Summit Glacier Pass Cabin Avalanche Shepherd Ridge Monastery",
    "Oasis Caravan Dune Canyon Mirage Nomad Well Outpost",
    "Grove Hunter Clearing Wolf Mill Path Cottage Orchard",
    "Orchestra Theatre Ballerina Magician Carnival Violin Rehearsal Curtain",
)
NICHES = len(GENRES) * len(SETTINGS)
VOLUMES = {"": 0.5, " II": 0.2, " III": 0.15, " IV": 0.1, " V": 0.05}  # share of the series that end with it
NEXT_VOLUME_SHARE, COMPANION_SHARES = 0.6, (0.4, 0.3, 0.2, 0.1)
LAG_SHARES, CROSSED_SHARE, TASTE_SHARE = (0.30, 0.15, 0.05), 0.20, 0.20  # popularity has the rest of m
LAGS = len(LAG_SHARES)


@dataclass(frozen=True)
class Cinema:
    """The films and their laws."""

    niche_N: Ints  # genre · 6 + setting
    within_N: Floats  # P(i | niche of i), the part of π inside the niche
    popularity_M: Floats  # π summed over each niche
    successors_NK: Ints
    successor_shares_NK: Floats  # rows sum to 1

    def term_shares(self, tastes_CM: Floats, recent: Ints) -> Floats:
        """The law m as a mixture of S(a → ·), S(b → ·), S(c → ·) and the M distributions P(· | n), shape (C, 3 + M).

        `recent` holds a, b, c, −1 where there is none, shape (C, 3). Taste and π are mixtures of P(· | n) themselves.
        """
        is_known = recent >= 0
        lags = is_known * np.array(LAG_SHARES)
        niches_CM = TASTE_SHARE * tastes_CM
        latest, second = self.niche_N[recent[is_known[:, 1], :2]].T
        crossed = second // len(SETTINGS) * len(SETTINGS) + latest % len(SETTINGS)
        niches_CM[np.flatnonzero(is_known[:, 1]), crossed] += CROSSED_SHARE
        niches_CM += (1 - lags.sum(1) - niches_CM.sum(1))[:, None] * self.popularity_M
        return np.hstack([lags, niches_CM])


@dataclass(frozen=True)
class SyntheticLog:
    """A generated log with the laws behind it; ids are zero-padded, so that row f of `titles` is film f of the laws."""

    interactions: Interactions  # users 'u00001'…, items 'i0001'…, times in unix seconds, strictly increasing in a user
    titles: pl.DataFrame  # item, title, genre: every film, also the few that nobody has watched
    cinema: Cinema
    tastes_UM: Floats  # π θ φ / Z summed over each niche

    def true_scores(self, histories: Sequences) -> Tensor:
        """p(i | u, H) of every film, shape (C, N) float64, rows sum to 1; a watched film has 0.

        Histories hold rows of `titles`, and `users_U` counts the users from 'u00001' on.
        """
        cinema, rows = self.cinema, np.arange(len(histories))[:, None]
        positions = histories.stops_U[:, None] - torch.arange(1, LAGS + 1)
        positions = positions.masked_fill(positions < histories.starts_U[:, None], -1)
        recent = torch.cat([histories.events.items, torch.tensor([-1])])[positions].numpy()
        shares = cinema.term_shares(self.tastes_UM[histories.users_U.numpy()], recent)
        scores_CN = shares[:, LAGS + cinema.niche_N] * cinema.within_N
        for lag in range(LAGS):  # where there is no film the share is 0, and any film may stand in
            successors = cinema.successors_NK[recent[:, lag]]
            np.add.at(scores_CN, (rows, successors), shares[:, [lag]] * cinema.successor_shares_NK[recent[:, lag]])
        scores_CN[tuple(column.numpy() for column in histories.flatten())] = 0  # what was watched
        return torch.from_numpy(scores_CN / scores_CN.sum(1, keepdims=True))


@dataclass(frozen=True)
class TrueTransitions:
    """The generator as a Scorer: true next-film probabilities for histories in the indices of `users` and `items`.

    Pass the catalogues of the indexed log. Films outside `items` have no column, so the probabilities of a row sum to
    slightly less than 1. Histories must be whole: p depends on every film watched.
    """

    log: SyntheticLog
    users: Catalog
    items: Catalog

    def query(self, histories: Sequences) -> "TrueQuery":
        """The probabilities after these histories. Raises DataError for a user or item the generator did not make."""
        columns_N = Catalog(self.log.titles["item"]).index(self.items.ids)
        generated = Catalog.of(self.log.interactions.events["user"])
        users_U = generated.index(self.users.ids, "user")[histories.users_U]
        events = Events(columns_N[histories.events.items], self.log.titles.height)
        translated = replace(histories, events=events, users_U=users_U)
        return TrueQuery(self.log, translated, columns_N, len(columns_N))


@dataclass(frozen=True)
class TrueQuery:
    """True probabilities of C histories, computed anew at each call: ask for few rows and all columns."""

    log: SyntheticLog
    histories: Sequences  # in the generator's own numbers
    columns_N: Tensor  # the generator's number of each catalogue item
    number_of_items: int

    def __len__(self) -> int:
        return len(self.histories)

    def scores(self, start: int, stop: int) -> Tensor:
        """True probabilities of the items start…stop−1, shape (C, stop − start) float64; a watched film has 0."""
        return self.log.true_scores(self.histories)[:, self.columns_N[start:stop]]

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """True probabilities of each history's own candidates, shape (C, K) float64."""
        return self.scores(0, self.number_of_items).gather(1, ids_CK)

    def select(self, rows: Tensor) -> "TrueQuery":
        """The query for some of the histories."""
        return replace(self, histories=self.histories.select(rows))

    def upper_bound(self, k: int = 10) -> dict[str, float]:
        """Expected hit rate and NDCG of the ranking by true probability, history hidden: no ranking can expect more.

        The k largest probabilities p₁ ≥ p₂ ≥ … of a case give Σ p_r and Σ p_r / log₂(r + 1); the value is their mean
        over cases. Drawn targets do not enter: on C of them a measured NDCG has a standard error of about 0.4 / √C.
        """
        gains_k = 1 / torch.log2(torch.arange(2, k + 2, dtype=torch.float64))
        sums = torch.zeros(2, dtype=torch.float64)
        for rows in torch.tensor_split(torch.arange(len(self)), len(self) // 512 + 1):
            best = self.select(rows).scores(0, self.number_of_items).topk(k, dim=1).values
            sums += torch.stack([best.sum(), (best * gains_k).sum()])
        hit_rate, ndcg = (sums / len(self)).tolist()
        return {f"hit_rate@{k}": hit_rate, f"ndcg@{k}": ndcg}


def generate(users: int = 4000, items: int = 2500, seed: int = 0) -> SyntheticLog:
    """A log of about 20 · `users` events over `items` films; the same arguments give the same log.

    The catalogue depends on `items` and `seed` only. Raises ConfigurationError for sizes it cannot fill.
    """
    fewest, most = NICHES * len(VOLUMES), NICHES * 8 * 8  # every niche has a series; titles differ
    if not 1 <= users <= 99_999 or not fewest <= items <= most:
        asked = f"{users:,} users and {items:,} items"
        raise ConfigurationError(f"cannot generate {asked}; ask for 1 to 99,999 users and {fewest} to {most:,} items")
    catalogue_rng, users_rng = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    cinema, titles = _catalogue(items, catalogue_rng)
    genre_U = users_rng.dirichlet(np.full(len(GENRES), 0.25), users)
    setting_U = users_rng.dirichlet(np.full(len(SETTINGS), 0.5), users)
    tastes_UM = (genre_U[:, :, None] * setting_U[:, None, :]).reshape(users, NICHES) * cinema.popularity_M
    tastes_UM /= tastes_UM.sum(1, keepdims=True)
    lengths_U = np.exp(users_rng.normal(2.76, 0.7, users)).astype(np.int64).clip(5, 60)
    interactions = _interactions(_histories(cinema, tastes_UM, lengths_U, users_rng), titles["item"], users_rng)
    return SyntheticLog(interactions, titles, cinema, tastes_UM)


def _catalogue(items: int, rng: np.random.Generator) -> tuple[Cinema, pl.DataFrame]:
    """The films in random order, so that an id tells nothing."""
    volumes = rng.choice(len(VOLUMES), size=items, p=list(VOLUMES.values())) + 1
    series, volume = np.divmod(np.flatnonzero(np.arange(len(VOLUMES)) < volumes[:, None])[:items], len(VOLUMES))
    number = rng.permutation(items)  # of each film; so far they stand series by series
    film_N = number.argsort()
    next_volume = np.where(np.append(series[1:], -1) == series, np.roll(number, -1), -1)
    appeal = rng.gumbel(size=items)[series] - 0.5 * volume + rng.normal(0, 0.5, items)
    popularity_N = 1 / ((-appeal).argsort().argsort() + 1 + 5.0)[film_N]
    popularity_N /= popularity_N.sum()
    niche_N = (series % NICHES)[film_N]
    popularity_M: Floats = np.bincount(niche_N, weights=popularity_N, minlength=NICHES).astype(np.float64)
    successors = _successors(popularity_N, niche_N // len(SETTINGS), next_volume[film_N], rng)
    cinema = Cinema(niche_N, popularity_N / popularity_M[niche_N], popularity_M, *successors)
    return cinema, _titles(series[film_N], volume[film_N])


def _successors(popularity_N: Floats, genre_N: Ints, next_N: Ints, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """(films, shares): the next volume, if any, and four companions of the genre; shape (N, 5) each."""
    films_NK = np.zeros((len(genre_N), 1 + len(COMPANION_SHARES)), dtype=np.int64)
    for genre in range(len(GENRES)):
        films = np.flatnonzero(genre_N == genre)
        # The largest of log π + Gumbel noise are draws ∝ π without replacement.
        keys = np.log(popularity_N[films]) + rng.gumbel(size=(len(films), len(films)))
        np.fill_diagonal(keys, -np.inf)
        films_NK[films, 1:] = films[(-keys).argsort(axis=1)[:, : len(COMPANION_SHARES)]]
    films_NK[:, 0] = np.where(next_N >= 0, next_N, films_NK[:, 1])
    next_share_N = np.where(next_N >= 0, NEXT_VOLUME_SHARE, 0.0)[:, None]
    return films_NK, np.hstack([next_share_N, (1 - next_share_N) * np.array(COMPANION_SHARES)])


def _titles(series_N: Ints, volume_N: Ints) -> pl.DataFrame:
    """A title for each film: adjective of the genre, noun of the setting (no pair twice), volume."""
    round_N, niche_N = np.divmod(series_N, NICHES)
    genre_N, setting_N = np.divmod(niche_N, len(SETTINGS))
    adjectives = np.array([words.split() for words in GENRES.values()])[genre_N, round_N % 8]
    nouns = np.array([words.split() for words in SETTINGS])[setting_N, (round_N + round_N // 8) % 8]
    parts = zip(adjectives, nouns, np.array(list(VOLUMES))[volume_N], strict=True)
    titles = [f"The {adjective} {noun}{numeral}" for adjective, noun, numeral in parts]
    items = [f"i{number:04d}" for number in range(1, len(titles) + 1)]
    return pl.DataFrame({"item": items, "title": titles, "genre": np.array(list(GENRES))[genre_N].tolist()})


def _histories(cinema: Cinema, tastes_UM: Floats, lengths_U: Ints, rng: np.random.Generator) -> Ints:
    """Films in the order each user watched them, shape (U, longest), −1 after the last.

    A watched film is drawn again, term and all: that is the division by Σ_{j ∉ H} m(j) of the law.
    """
    films_UL = np.full((len(lengths_U), LAGS + lengths_U.max()), -1)  # the first columns stand for what came before
    is_watched_UN = np.zeros((len(lengths_U), len(cinema.niche_N)), dtype=bool)
    for column in range(LAGS, films_UL.shape[1]):
        pending = np.flatnonzero(lengths_U > column - LAGS)
        while len(pending):
            recent = films_UL[pending, column - LAGS : column][:, ::-1]
            films = _propose(cinema, tastes_UM[pending], recent, rng)
            was_watched = is_watched_UN[pending, films]
            films_UL[pending, column], is_watched_UN[pending, films] = films, True
            pending = pending[was_watched]
    return films_UL[:, LAGS:]


def _propose(cinema: Cinema, tastes_CM: Floats, recent: Ints, rng: np.random.Generator) -> Ints:
    """One draw from m for each history: a term of the mixture by its share, then a film by that term."""
    terms = _draw(cinema.term_shares(tastes_CM, recent), rng)
    is_lag = terms < LAGS
    sources = recent[is_lag, terms[is_lag]]
    films = np.empty(len(terms), dtype=np.int64)
    films[is_lag] = cinema.successors_NK[sources, _draw(cinema.successor_shares_NK[sources], rng)]
    films[~is_lag] = _within(cinema, terms[~is_lag] - LAGS, rng)
    return films


def _draw(shares: Floats, rng: np.random.Generator) -> Ints:
    """A column of each row, drawn by the shares, which sum to 1 up to rounding."""
    return np.asarray((shares.cumsum(1)[:, :-1] <= rng.random((len(shares), 1))).sum(1))


def _within(cinema: Cinema, niches: Ints, rng: np.random.Generator) -> Ints:
    """A film of each niche, drawn by P(i | n)."""
    by_niche = cinema.niche_N.argsort(kind="stable")
    stops_M = np.bincount(cinema.niche_N, minlength=NICHES).cumsum()  # the edges below rise by 1 in each niche
    positions = cinema.within_N[by_niche].cumsum().searchsorted(niches + rng.random(len(niches)), side="right")
    # Rounding may carry a draw at the very edge into the niche beside it.
    return np.asarray(by_niche[positions.clip(np.append(0, stops_M)[niches], stops_M[niches] - 1)])


def _interactions(films_UL: Ints, items: pl.Series, rng: np.random.Generator) -> Interactions:
    """The events of all users in time order; users begin within 2024 and watch a film every two days or so."""
    gaps_UL = rng.exponential(2 * 86_400, films_UL.shape).astype(np.int64) + 60
    gaps_UL[:, 0] = 1_704_067_200 + rng.integers(0, 366 * 86_400, len(films_UL))
    rows, positions = np.nonzero(films_UL >= 0)
    times = gaps_UL.cumsum(1)[rows, positions]
    order = times.argsort(kind="stable")
    users = pl.Series([f"u{number:05d}" for number in range(1, len(films_UL) + 1)])
    films = films_UL[rows, positions][order]
    return Interactions.from_columns(users.gather(rows[order]), items.gather(films), pl.Series(times[order]))

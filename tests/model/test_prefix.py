"""A user's features as one more place before a history: by hand in float64, and at every encoder that takes it."""

from dataclasses import replace
from math import sqrt

import polars as pl
import pytest
import torch
from torch import Tensor, tensor

from nextitem.data.events import Events
from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import NOBODY, Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.contents import Contents
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.encoders import GPT2, HSTU, BERT4Rec, Caser, GRU4Rec, LiGR, SASRec
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.model import SequenceModel
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.model.prefix import Prefix, UserPrefix, content_of_users, moved_users, without_user

FEATURES = ItemFeatures(
    pl.DataFrame(
        {
            "user": ["a", "b", "c", "d"],
            "job": [["cook", "poet"], ["cook"], None, ["smith"]],
            "age": [20.0, 40.0, None, 99.0],
        },
        schema={"user": pl.String, "job": pl.List(pl.String), "age": pl.Float64},
    ),
    "user",
)
TRAIN = Sequences.of([[0, 1], [1, 2], [2, 0], []], 3)  # nothing is learnt of d
N, DIM = 7, 8


def test_a_vector_is_its_categories_means_and_numbers_and_an_unknown_user_has_another() -> None:
    content = content_of_users(FEATURES, TRAIN)
    assert content.categories == 2  # cook and poet: no smith has events in training
    prefix = Prefix(3, content).double().eval()
    cook, poet = prefix.categories_Vd
    of_age, known, unknown = prefix.numbers_Fd[0], prefix.known_d, prefix.unknown_d
    wanted = [known + (cook + poet) / 2 - of_age, known + cook + of_age, unknown, known + 4 * of_age, unknown, unknown]
    found = prefix(tensor([0, 1, 2, 3, NOBODY, 4]))  # 30 years are the mean and 10 the deviation; d's 6.9 are cut to 4
    torch.testing.assert_close(found, torch.stack(wanted), rtol=0, atol=1e-12)
    found.sum().backward()
    torch.testing.assert_close(prefix.unknown_d.grad, torch.full((3,), 3.0).double())
    torch.testing.assert_close(prefix.numbers_Fd.grad, torch.full((1, 3), -1.0 + 1 + 4).double())
    torch.testing.assert_close(prefix.categories_Vd.grad, torch.tensor([[1.5] * 3, [0.5] * 3]).double())


def test_of_training_windows_a_share_is_read_as_of_unknown_users() -> None:
    prefix = Prefix(3, content_of_users(FEATURES, TRAIN), dropout=0.25)
    vectors = prefix(torch.zeros(4000, dtype=torch.int64))
    share = float((vectors == prefix.unknown_d).all(1).float().mean())
    assert abs(share - 0.25) < 4 * sqrt(0.25 * 0.75 / 4000)
    with torch.no_grad():
        assert not (prefix(torch.zeros(400, dtype=torch.int64)) == prefix.unknown_d).all(1).any()


def model_of(encoder: Encoder, dropout: float = 0.0) -> SequenceModel:
    objective = NextItem(maximum_length=6) if encoder.is_causal else MaskedItem(maximum_length=6)
    recipe = SequenceRecipe(encoder=encoder, objective=objective, prefix=UserPrefix(dropout=dropout))
    return recipe.build(N, 0, 4, Contents(None, content_of_users(FEATURES, TRAIN))).double().eval()


def histories(rows: list[list[int]], users: list[int]) -> Sequences:
    times = torch.arange(sum(map(len, rows))) * 1000
    views = Sequences.of(rows, N)
    events = Events(views.events.items, N, times)
    return replace(views, events=events, users_U=tensor(users))


ENCODERS = [
    SASRec(dim=DIM, blocks=1, positions=6),
    BERT4Rec(dim=DIM, blocks=1, inner=8, positions=6),
    GRU4Rec(dim=DIM),
    GPT2(dim=DIM, blocks=1, positions=6),
    LiGR(dim=DIM, blocks=1, positions=6, position_direction="from_oldest"),
    HSTU(dim=DIM, blocks=1, positions=6),
]
FROM_NEWEST = [SASRec(dim=DIM, blocks=1, positions=6, position_direction="from_newest"), LiGR(dim=DIM, blocks=1)]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: encoder.name)
def test_states_are_those_of_the_encoder_after_one_more_vector(encoder: Encoder) -> None:
    """Row by row, without padding, at the last place: windows as long as the position table had before."""
    model = model_of(encoder)
    rows, users = [[1, 2, 3, 4, 5, 6], [4, 0]], [1, NOBODY]
    if not encoder.is_causal:
        rows = [row[-5:] for row in rows]  # MASK takes a place
    views = histories(rows, users)
    found = model.query_states(views)
    for row in range(2):
        one = model.objective.query(model.as_read(views.select(tensor([row]))))
        vector: Tensor = model.prefix(tensor([users[row]]))  # type: ignore[misc]
        longer = torch.cat([vector[None], model.items.embed(one.inputs_BL)], 1)
        times = {}
        if encoder.reads_times:
            assert one.times_BL is not None
            times = {"times_BL": torch.cat([one.times_BL[:, :1], one.times_BL], 1)}
        states = model.encoder(longer, one.lengths_B + 1, **times)
        torch.testing.assert_close(found[row], states[0, -1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("encoder", [*ENCODERS, *FROM_NEWEST], ids=lambda encoder: encoder.name)
def test_lists_depend_on_the_user_and_the_model_foresees_along_as_after_each_prefix(encoder: Encoder) -> None:
    model = model_of(encoder)
    a, b, unknown = model.query_states(histories([[1, 2, 3]] * 3, [0, 1, NOBODY]))
    assert (a - b).abs().max() > 1e-6
    assert (a - unknown).abs().max() > 1e-6
    windows = model.windows(histories([[1, 2, 3, 4], [5, 6]], [1, 0]))
    batch = model.batch(windows, torch.Generator().manual_seed(0))
    if model.objective.foresees_everywhere:
        prefixes = histories([[1], [1, 2], [1, 2, 3], [5]], [1, 1, 1, 0])
        events = replace(prefixes.events, times=tensor([0, 0, 1000, 0, 1000, 2000, 4000]))
        along, apart = model.query_along(batch, prefixes), model.query(replace(prefixes, events=events))
        torch.testing.assert_close(along.scores(0, N), apart.scores(0, N), rtol=0, atol=1e-10)


def test_without_one_the_weights_are_those_that_they_were_and_with_one_items_start_alike() -> None:
    plain = SequenceRecipe(encoder=SASRec(dim=DIM)).build(N, 0)
    assert not [name for name in plain.state_dict() if name.startswith("prefix")]
    same = SequenceRecipe(encoder=SASRec(dim=DIM), prefix=UserPrefix()).build(N, 0)
    assert torch.equal(plain.items.weight_Nd, same.items.weight_Nd)


def test_an_encoder_that_reads_no_place_before_the_oldest_item_takes_none() -> None:
    with pytest.raises(ConfigurationError, match=r"encoder caser reads no place before the oldest item, and prefix"):
        SequenceRecipe(encoder=Caser(), prefix=UserPrefix())


def test_users_of_whom_nothing_is_known_are_refused_with_what_to_name() -> None:
    nothing = ItemFeatures.none(FEATURES.table["user"], "user")
    for features in (None, nothing):
        with pytest.raises(DataError, match=r"prefix=users reads .*, and there are none; name .* users=users\.csv"):
            content_of_users(features, TRAIN)


def test_a_user_is_taken_out_and_users_are_put_in_another_order() -> None:
    weights = Prefix(3, content_of_users(FEATURES, TRAIN)).state_dict()
    left = without_user(weights, 0)
    assert torch.equal(left["numbers_NF"], weights["numbers_NF"][1:])
    assert torch.equal(left["categories_Vd"], weights["categories_Vd"])
    moved = moved_users(weights, tensor([1, -1, 0]))
    assert moved["has_id_N"].tolist() == [1, 0, 1]
    assert moved["numbers_NF"][:, 0].tolist() == [1, 0, -1]
    assert moved["categories_NK"].shape == (3, 2)

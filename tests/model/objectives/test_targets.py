"""Which events are targets, how often, and after what: next_item with windows that overlap. L length."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.model.encoders import SASRec
from nextitem.model.model import SequenceModel
from nextitem.model.objectives import NextItem
from worlds.shelves import build_model

NEVER_USED = torch.Generator()
LENGTHS = st.lists(st.integers(0, 25), min_size=1, max_size=4)


def seen(objective: NextItem, log: Sequences) -> list[tuple[int, list[int]]]:
    """(target, what comes before it in its window) of all targets of an epoch."""
    windows = objective.windows(log)
    batch = objective.batch(windows, NEVER_USED)
    assert batch.counts_B.tolist() == torch.bincount(batch.rows_T, minlength=len(windows)).tolist()
    assert bool((batch.positions_T.diff() > 0).all())
    rows, columns = batch.rows_T.tolist(), batch.columns_T.tolist()
    inputs = [batch.inputs_BL[row, : column + 1].tolist() for row, column in zip(rows, columns, strict=True)]
    return list(zip(batch.targets_T.tolist(), inputs, strict=True))


def counted(lengths: list[int]) -> tuple[Sequences, list[list[int]]]:
    """Histories whose items say which event they are."""
    histories, number = [], 0
    for length in lengths:
        histories.append(list(range(number, number + length)))
        number += length
    return Sequences.of(histories, max(1, number)), histories


@given(LENGTHS, st.integers(1, 8), st.data())
def test_new_targets_are_every_event_but_the_first_once_with_the_oldest_window_that_has_it(
    lengths: list[int], longest: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, longest))
    log, histories = counted(lengths)
    found = dict(seen(NextItem(maximum_length=longest, stride=stride, targets="new"), log))
    assert sorted(found) == [item for history in histories for item in history[1:]]
    every = seen(NextItem(maximum_length=longest, stride=stride), log)
    for target, before in found.items():
        assert before == max((context for other, context in every if other == target), key=len)
        age = target - next(history[0] for history in histories if target in history)
        assert min(age, longest - stride + 1) <= len(before) <= min(age, longest)


@given(LENGTHS, st.integers(1, 8))
def test_last_targets_are_every_event_but_the_first_once_after_all_that_fits(lengths: list[int], longest: int) -> None:
    log, histories = counted(lengths)
    expected = [
        (item, history[max(0, i - longest) : i]) for history in histories for i, item in enumerate(history) if i
    ]
    assert seen(NextItem(maximum_length=longest, targets="last"), log) == expected


def test_with_a_stride_an_event_is_a_target_as_often_as_the_stride_goes_into_the_length() -> None:
    log, _ = counted([41])
    times = Counter(target for target, _ in seen(NextItem(maximum_length=12, stride=4), log))
    assert [times[event] for event in range(13, 29)] == [12 // 4] * 16  # away from either end
    assert [times[event] for event in (40, 37, 36, 33, 32)] == [1, 1, 2, 2, 3]
    assert max(times.values()) == 3


def test_a_part_of_the_windows_has_the_targets_that_they_have() -> None:
    log, _ = counted([9, 1, 20])
    objective = NextItem(maximum_length=6, stride=2, targets="new")
    windows = objective.windows(log)
    rows = torch.tensor([4, 0, 7])
    parts = [objective.batch(windows.select(rows[i : i + 1]), NEVER_USED).targets_T for i in range(3)]
    assert objective.batch(windows.select(rows), NEVER_USED).targets_T.tolist() == torch.cat(parts).tolist()


def test_masked_labels_are_a_share_of_the_targets_that_there_are() -> None:
    log, _ = counted([400])
    objective = NextItem(maximum_length=20, stride=5, targets="new", label_masking=0.5)
    batch = objective.batch(objective.windows(log), torch.Generator().manual_seed(0))
    assert 150 < len(batch.targets_T) < 250
    assert batch.counts_B.sum() == len(batch.targets_T)
    assert len(set(batch.targets_T.tolist())) == len(batch.targets_T)


def test_views_of_every_prefix_share_their_events() -> None:
    log, _ = counted([300])
    windows = NextItem(maximum_length=200, targets="last").windows(log)
    assert (len(windows), windows.events) == (299, log.events)


def test_a_target_weighs_less_the_older_it_is() -> None:
    objective = NextItem(maximum_length=3, stride=2, targets="new", half_life=1.0)
    log, _ = counted([5])
    batch = objective.batch(objective.windows(log), NEVER_USED)
    assert batch.weights_T is not None
    assert dict(zip(batch.targets_T.tolist(), batch.weights_T.tolist(), strict=True)) == {
        1: 2**-3, 2: 2**-2, 3: 2**-1, 4: 1.0,
    }  # fmt: skip


def test_days_are_counted_also_where_the_encoder_reads_no_times() -> None:
    log = Sequences.of([[0, 1, 2]], 3, [[0.0, 86_400.0, 3 * 86_400.0]])
    model: SequenceModel = build_model(SASRec(dim=8, positions=8), NextItem(maximum_length=8, half_life_days=1.0), 3)
    windows = model.windows(log)
    weights_T = model.batch(windows, NEVER_USED).weights_T
    assert not windows.has_times
    assert weights_T is not None
    assert weights_T.tolist() == [2**-2, 1.0]
    with pytest.raises(DataError, match="give events with a column of times"):
        model.windows(log.without_times())


@pytest.mark.parametrize(
    ("settings", "fact"),
    [
        ({"targets": "last", "stride": 3}, "has a window at every event, and stride=3 says otherwise"),
        ({"targets": "new", "stride": 3, "cloze_weight": 0.5}, "cloze_weight=0.5 hides items of whole windows"),
    ],
)
def test_what_contradicts_the_targets_is_refused(settings: dict[str, object], fact: str) -> None:
    with pytest.raises(ConfigurationError, match=fact):
        NextItem(**settings)

"""Each finding of a log: numbers that can be counted by hand, and what is said of them."""

from dataclasses import replace

import pytest
import torch

from nextitem.data.checkup.bots import Bots, outer_fence
from nextitem.data.checkup.finding import Severity
from nextitem.data.checkup.held_out import HeldOut, Hiding, compared, held_out, name_of, repeats_history, settings_of
from nextitem.data.checkup.leak import Leak
from nextitem.data.checkup.lengths import Lengths
from nextitem.data.checkup.minima import Minima
from nextitem.data.checkup.popularity import Popularity, gini
from nextitem.data.checkup.repeats import Repeats
from nextitem.data.checkup.ties import Ties, tied_ends
from nextitem.data.checkup.times import DAY, Activity, Times
from nextitem.data.checkup.windows import Windows
from nextitem.data.interactions import Interactions
from nextitem.data.log import index
from nextitem.data.sequences import Sequences
from nextitem.data.splits import LeaveOneOut, Temporal, Users

NOW = 2_000_000_000.0


def histories(*lists: list[int], times: list[list[float]] | None = None) -> Sequences:
    return Sequences.of([*lists], 1 + max(max(one) for one in lists), times)


def test_lengths_are_counted_in_bands() -> None:
    found = Lengths.of(histories([0], [0, 1], [0, 1, 2], [0] * 12))
    assert (found.shortest, found.median, found.mean, found.longest) == (1, 2.5, 4.5, 12)
    assert [(band.first, band.last, band.users) for band in found.bands] == [
        (1, 1, 1), (2, 2, 1), (3, 5, 1), (6, 10, 0), (11, 20, 1),
    ]  # fmt: skip
    assert (found.under_3, found.under_5) == (2, 3)
    assert found.finding.severity is Severity.WARNING  # half of the users cannot be asked
    assert "2 users have fewer than 3 (50.0 %)" in found.finding.sentence
    assert Lengths.of(histories(*([[0, 1, 2]] * 20))).most_have == 3


def test_repeats_are_told_from_immediate_and_doubled_ones() -> None:
    # The first user comes back to 0 later, has 1 twice in a row, and the last two rows are one and the same.
    log = histories([0, 1, 1, 0, 2, 2], [0, 1], times=[[1, 2, 3, 4, 5, 5], [1, 1]])
    found = Repeats.of(log)
    assert (found.events, found.repeated, found.immediate, found.doubled, found.users) == (8, 3, 2, 1, 1)
    assert found.share == 3 / 8
    assert "1 row is there twice" in found.finding.sentence
    assert found.finding.severity is Severity.WARNING
    assert Repeats.of(log.without_times()).doubled is None
    assert Repeats.of(histories([0, 1], [1, 0])).finding.sentence == "none: no user has an item twice"


def test_ties_at_the_end_are_a_warning_where_they_are_many() -> None:
    assert tied_ends(histories([0, 1], [0, 1], [0], times=[[1, 1], [1, 2], [1]])) == 1
    many = Ties(events=100, users=10, tied=40, users_with_tied_end=4)
    assert many.finding.severity is Severity.WARNING
    assert many.finding.sentence == (
        "40 events share user and time with another (40.0 %); the last two of 4 users (40.0 %) do"
    )
    assert Ties(100, 10, 2, 1).finding.severity is Severity.NOTE
    assert Ties(100, 10, 0, 0).finding.severity is Severity.FINE


def test_times_tell_span_fineness_and_how_long_users_stay() -> None:
    day = 1_000_000_000 // DAY * DAY
    log = histories([0, 1], [0, 1], [0], times=[[day, day + 3600], [day + 7200, day + 3 * DAY], [day + 3600]])
    found = Times.of(log, NOW)
    assert (found.first, found.last, found.days) == ("2001-09-09T00:00:00+00:00", "2001-09-12T00:00:00+00:00", 3.0)
    assert found.fineness == 3600
    assert (found.users_of_one_day, found.busiest_day, found.busiest_day_share) == (0.5, "2001-09-09", 0.8)
    assert (sum(found.stretches), found.early, found.future) == (5, 0, 0)
    assert found.finding.sentence == "2001-09-09 to 2001-09-12, 3 days, in hours"
    assert Activity(found).finding.severity is Severity.FINE


def test_a_wrong_unit_and_clocks_that_are_wrong_are_warned_of() -> None:
    as_seconds = Times.of(histories([0, 1], times=[[1_700_000, 1_700_060]]), NOW)  # milliseconds / 1000 of milliseconds
    assert as_seconds.early == 2
    assert "2 events lie before 1990" in as_seconds.finding.sentence
    assert "columns.time_unit" in as_seconds.finding.remedy
    ahead = Times.of(histories([0, 1], times=[[1_000_000_000, 3_000_000_000]]), NOW)
    assert "1 event lies in the future" in ahead.finding.sentence
    assert ahead.finding.severity is Severity.WARNING


def test_times_of_days_leave_no_order_within_one() -> None:
    found = Times.of(histories([0, 1], times=[[11_000 * DAY, 11_001 * DAY]]), NOW)
    assert found.fineness == DAY
    assert "events of one day have no order" in found.finding.sentence
    assert Times.of(histories([0, 1], times=[[1e9 + 0.5, 1e9 + 1.5]]), NOW).fineness == 0


def test_an_event_belongs_to_the_day_that_it_is_on() -> None:
    midnight = 20_000 * DAY  # in single precision the seconds around it are one
    found = Times.of(histories([0, 1, 2], times=[[midnight - 2, midnight - 1, midnight + 1]]), NOW)
    assert (found.busiest_day, found.busiest_day_share) == ("2024-10-03", 2 / 3)
    ahead = Times.of(histories([0], times=[[NOW + 1]]), NOW)
    assert ahead.future == 1
    assert Times.of(histories([0, 1], times=[[NOW - 1, NOW + 1]]), NOW + 0.5).future == 1


def test_times_that_no_calendar_has_are_told_as_numbers() -> None:
    found = Times.of(histories([0, 1], times=[[0, 10**15]]), NOW)
    assert (found.last, found.early, found.future) == ("1e+15", 1, 1)


def test_a_gap_is_exact_to_the_second() -> None:
    # 20,000 events within a moment, so that a gap is what exceeds a hundredth of the span, if by a second.
    for more, gaps in ((0, 1), (1, 2)):
        days = [0, 2**24 + more, 100 * 2**24]
        assert len(Times.of(histories([0] * 20_002, times=[[0] * 20_000 + days[1:]]), NOW).gaps) == gaps


def test_a_gap_is_far_longer_than_events_at_random_would_leave() -> None:
    hours = [1e9 + 3600 * n for n in range(1000)]
    quiet = [*hours, *(1e9 + 3600 * n + 60 * DAY for n in range(1000, 2000))]
    assert Times.of(histories([0] * 1000, times=[hours]), NOW).number_of_gaps == 0
    found = Times.of(histories([0] * 2000, times=[quiet]), NOW)
    assert found.number_of_gaps == 1
    assert found.gaps[0].days == pytest.approx(60 + 1 / 24)
    assert "1 gap, the longest of 60 days" in Activity(found).finding.sentence


def test_bots_have_far_more_events_than_others_or_more_than_a_person_in_an_hour() -> None:
    users = [str(user) for user in range(40) for _ in range(5)] + ["bot"] * 1500
    times = [1e9 + 86_400 * n for n in range(200)] + [1e9 + n for n in range(1500)]
    found = Bots.of(index(Interactions.from_columns(users, ["x"] * 1700, times)))
    assert (found.most, found.far_out, found.too_fast, found.users) == (50, 1, 1, 1)
    assert found.share == 1500 / 1700
    assert (found.suspects[0].user, found.suspects[0].events, found.suspects[0].busiest_hour) == ("bot", 1500, 1500)
    assert found.finding.severity is Severity.WARNING
    slow = Bots.of(index(Interactions.from_columns(["ann"] * 1500, ["x"] * 1500, [4.0 * n for n in range(1500)])))
    assert slow.users == 0  # 901 in the busiest hour


def test_the_outer_fence_is_of_logarithms() -> None:
    # Quartiles 10 and 100: one distance is a factor of ten, and three of them a thousand.
    assert outer_fence(torch.tensor([1, 10, 30, 100, 200])) == 100_000


def test_popularity_is_a_share_of_the_events() -> None:
    found = Popularity.of(torch.tensor([1, 1, 1, 1, 1, 1, 1, 1, 1, 91]))
    assert (found.top_10_percent, found.half, found.once, found.under_5, found.share_under_5) == (0.91, 1, 9, 9, 0.09)
    assert found.curve[0] == (0.0, 0.0)
    assert found.curve[-1] == (1.0, pytest.approx(1.0))
    # 10 items, Σ (2i − 11) x_i / (10 · 100): −9 −7 −5 −3 −1 +1 +3 +5 +7 = −9, and 9 · 91.
    assert gini(torch.tensor([1, 1, 1, 1, 1, 1, 1, 1, 1, 91])) == pytest.approx((9 * 91 - 9) / 1000)
    assert gini(torch.full((7,), 3)) == 0


def test_minima_say_what_a_five_core_leaves() -> None:
    # Five users with the same five items, and one event apart from them.
    found = Minima.of(histories(*([[0, 1, 2, 3, 4]] * 5), [5]))
    assert (found.users, found.items, found.events) == (5, 5, 25)
    assert found.share == 25 / 26
    assert "nothing would be left" in Minima.of(histories([0, 1])).finding.sentence


def test_windows_lose_what_lies_before_them() -> None:
    # 120 targets of the first user: of these 20, 50, 100 and all are kept, and 3 of 3 of the second.
    found = Windows.of(histories(list(range(121)), [0, 1, 2, 3], [0]))
    assert found.targets == 123
    assert [one.lost for one in found.by_length] == pytest.approx([100 / 123, 70 / 123, 20 / 123, 0, 0])
    assert [one.windows for one in found.by_length] == [3.5, 2, 1.5, 1, 1]  # ⌈120 / L⌉ and 1, over two users
    windows = histories(list(range(121)), [0, 1, 2, 3]).sliding(51, 50)
    assert len(windows) == 4  # as `windows` says: two a user
    assert {item for one in windows.tolist()[:3] for item in one[1:]} == set(range(1, 121))  # and no target is lost
    assert found.shortest(0.2) == found.at(100)
    assert found.finding.sentence.endswith("leaves out 81.3 % at 20, 56.9 % at 50, 16.3 % at 100 events")
    assert "no target to learn from" in Windows.of(histories([0])).finding.sentence


def test_what_is_never_a_target_is_not_lost() -> None:
    log = histories(list(range(121)))
    weights = torch.zeros(121)
    weights[[0, 10, 110]] = 1.0  # the first event of a user is no target either
    found = Windows.of(replace(log, events=replace(log.events, weights=weights)))
    assert found.targets == 2
    assert [one.lost for one in found.by_length] == [0.5, 0.5, 0.5, 0, 0]


def test_cold_and_repeated_targets_lower_the_ceiling() -> None:
    # Targets: 3 (trained), 4 (cold), 0 (trained, and in its own history).
    log = histories([0, 3, 1, 3], [0, 1, 2, 4], [0, 1, 2, 0])
    found, split = held_out(LeaveOneOut(), log)
    assert split is not None
    assert repeats_history(split.test).tolist() == [True, False, True]
    assert (found.training, found.validation, found.test, found.users) == (6, 3, 3, 3)
    assert (found.cold, found.repeated, found.ceiling, found.new) == (1 / 3, 2 / 3, 0, 0)
    assert found.finding.sentence.endswith(
        "33.33 % of the targets are cold and 66.67 % repeat the history, which hide=history hides, "
        "so no hit rate exceeds 0.000"
    )
    assert found.finding.severity is Severity.NOTE


def test_the_ceiling_follows_what_is_hidden() -> None:
    log = histories([0, 3, 1, 3], [0, 1, 2, 4], [0, 1, 2, 0])
    found = {
        hiding.word: held_out(LeaveOneOut(), log, hiding)[0] for hiding in (Hiding("nothing", 0), Hiding("last:2", 2))
    }
    assert (found["nothing"].repeated, found["nothing"].ceiling) == (0, 2 / 3)
    assert found["nothing"].finding.sentence.endswith("33.33 % of the targets are cold, so no hit rate exceeds 0.667")
    # Of the last two events before it the first user's target repeats one, the third user's none.
    assert (found["last:2"].repeated, found["last:2"].ceiling) == (1 / 3, 1 / 3)
    assert "33.33 % repeat the history, which hide=last:2 hides" in found["last:2"].finding.sentence


def test_what_was_said_of_repeats_is_no_longer_a_question() -> None:
    log = histories([0, 0, 1, 0], [1, 1, 2, 1])
    assert Repeats.of(log).finding.severity is Severity.WARNING
    said = Repeats.of(log, "nothing").finding
    assert (said.severity, said.remedy) == (Severity.NOTE, "")
    assert said.sentence.endswith("; all may be recommended again (hide=nothing)")
    assert Repeats.of(log, "last:3").finding.sentence.endswith(
        "; what was latest may not be recommended again (hide=last:3)"
    )


def test_of_a_small_log_the_leak_advises_no_split_that_cannot_be_made() -> None:
    log = histories(*([[0, 1, 2, 3]] * 20), times=[[n, 100 + n, 200 - n, 300 + n] for n in range(20)])
    examined = {may: Leak(1.0, 0.5, 0.5, 0.5, 0.0, can_be_avoided=may).finding.remedy for may in (True, False)}
    assert examined[True].startswith("split by time: ")
    assert examined[False].endswith("; no split by time holds 100 test cases here, a longer log would")
    assert not held_out(Temporal(cut=0.8), log)[0].is_by_time
    assert replace(held_out(Temporal(cut=0.8), log)[0], test=100).is_by_time


def test_the_splits_that_are_looked_at_go_with_the_log() -> None:
    log = histories([0, 1, 2], times=[[1, 2, 3]])
    assert [name_of(one) for one in compared(log)] == [
        "leave_one_out", "temporal cut=0.8", "temporal cut=0.9", "users",
    ]  # fmt: skip
    assert [name_of(one) for one in compared(log.without_times())] == ["leave_one_out", "users"]
    odd = Temporal(cut="2015-03-01", target="first")
    assert name_of(odd) == "temporal cut=2015-03-01 target=first"
    assert settings_of(odd) == {"split": "temporal", "split.cut": "2015-03-01", "split.target": "first"}
    many = histories(*([[0, 1, 2, 3]] * 20))
    strangers, _ = held_out(Users(), many)
    assert (strangers.test, strangers.new) == (2, 1.0)
    assert "of 2 users, 100 % of them new" in strangers.finding.sentence


def test_a_split_that_refuses_a_log_says_why() -> None:
    found, split = held_out(LeaveOneOut(), histories([0, 1]))
    assert split is None
    assert found == HeldOut("leave_one_out", {"split": "leave_one_out"}, rule=LeaveOneOut().rule, refusal=found.refusal)
    assert "of 1 user none has 3 events" in found.finding.sentence


def test_the_leak_is_what_training_knows_from_later() -> None:
    # Ann is done at 4 before bob begins: his training events, at 10 and 11, all lie after her target.
    log = histories([0, 1, 2, 3], [3, 0, 1, 2], times=[[1, 2, 3, 4], [10, 11, 12, 13]])
    leak = Leak.of(LeaveOneOut().split(log))
    assert leak is not None
    assert leak.targets_before == 0.5
    assert leak.mean_later == 0.25  # 2 of 4 training events after ann's target, none after bob's
    assert leak.only_later == 0.5  # item 3, her target, occurs in training at 10 only
    assert leak.median_item_later == 1.0  # of the one target that occurs in training
    assert Leak.of(LeaveOneOut().split(log.without_times())) is None

"""The kinds of a question's events mean what those of a file mean."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextitem.data.interactions import Interactions
from nextitem.errors import DataError
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.run import run
from nextitem.serving.answering.heard import hear
from nextitem.serving.answering.news import News
from nextitem.serving.question import Question
from nextitem.serving.recommender import Recommender
from nextitem.training.session import Session

KINDS = ("kinds.buy=1", "kinds.view=history", "kinds.no=disliked", "kinds.unbuy=retracts buy", "kinds.yes=retracts no",
         "kinds.undo=retracts", "kinds.noise=ignored")  # fmt: skip
ITEMS = ["u", "v", "w", "x", "y", "z"]
LOG = Interactions.from_columns(
    ["ann", "ann", "ann", "ann", "ann", "bob", "bob", "bob", "cat", "cat", "cat"],
    ["u", "v", "w", "x", "y", "v", "w", "u", "x", "y", "z"],
    [1, 2, 3, 4, 5, 1, 2, 3, 1, 2, 3],
    kind=["buy", "buy", "view", "buy", "no", "buy", "buy", "buy", "buy", "buy", "buy"],
)


@pytest.fixture(scope="module")
def timed() -> Recommender:
    recipe = load_recipe("popularity", *KINDS)
    return Recommender.from_outcome(run(recipe, Session(0), events=LOG))


@pytest.fixture(scope="module")
def untimed(timed: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    from nextitem.serving.fit import fit

    folder: Path = tmp_path_factory.mktemp("runs") / "run"
    return Recommender.load(fit(LOG, "popularity", *KINDS).save(folder))


EVENTS = st.lists(
    st.tuples(st.sampled_from(ITEMS[:4]), st.sampled_from(["buy", "view", "no", "unbuy", "yes", "undo", "noise"])),
    min_size=1, max_size=7,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(user=st.sampled_from(["ann", "bob", "eve"]), events=EVENTS, late=st.booleans(), has_times=st.booleans())
def test_a_question_and_a_file_of_the_same_events_are_heard_alike(
    timed: Recommender,
    untimed: Recommender,
    user: str,
    events: list[tuple[str, str]],
    late: bool,
    has_times: bool,
) -> None:
    items, kinds = zip(*events, strict=True)
    times = [place / 2 + 10 * late for place in range(len(events))]
    recommender = timed if has_times else untimed
    news = News.of(Interactions.from_columns([user] * len(items), items, times, kind=kinds), recommender.kinds)
    rows = news.by_user()
    asked = recommender.asked(
        rows["item"], times=rows["time"], users=rows["user"], changes=news.changes(recommender.items)
    )
    heard = hear(recommender.known, Question(items, times, kinds, user=user))
    assert heard.items == asked.histories.tolist()[0]
    disliked = [] if asked.disliked is None else asked.disliked.tolist()[0]
    assert sorted(heard.disliked) == sorted(disliked)


def test_a_kind_without_a_meaning_is_refused(timed: Recommender) -> None:
    with pytest.raises(DataError, match=r"kinds\[1\]='sell': nobody said what that kind means; those that do"):
        hear(timed.known, Question(("u", "v"), kinds=("buy", "sell")))
    with pytest.raises(DataError, match="1 kinds and 2 events in history; give the kind of each event"):
        hear(timed.known, Question(("u", "v"), kinds=("buy",)))


def test_what_was_disliked_is_counted_among_what_is_left_out(timed: Recommender) -> None:
    (answer,) = timed.answer([Question(("z", "w"), kinds=("no", "buy"), user="bob", k=6)])
    assert {one.item for one in answer} == {"x", "y"}
    assert answer.filtered == {"seen": 3, "disliked": 1}

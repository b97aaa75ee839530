"""One pass of the model answers questions of any terms, each as if it were asked alone."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from nextitem.errors import ConfigurationError, DataError
from nextitem.serving.ids import Positions
from nextitem.serving.question import Answer, Question, Terms
from nextitem.serving.recommender import Recommender
from worlds.overheard import Overheard
from worlds.small_runs import ITEMS, chains, outcome

ALL_ITEMS = [f"i{item:02}" for item in range(ITEMS)]
HISTORIES = [tuple(f"i{item:02}" for item in history) for history in chains()]


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender.from_outcome(outcome("sasrec-ce"))


def ids(answer: Answer) -> list[Any]:
    return [one.item for one in answer.items]


def alone(recommender: Recommender, question: Question) -> Answer:
    (answer,) = recommender.answer([question])
    return answer


MANY = [
    Question(HISTORIES[0], k=3),
    Question(HISTORIES[1], k=ITEMS, terms=Terms(hide="nothing")),
    Question((), k=2),
    Question(user="u07", k=4),
    Question(HISTORIES[2], k=5, terms=Terms(candidates=("i00", "i03", "i04"))),
    Question(("i03", "nothing"), k=4, terms=Terms(exclude=("i04",), hide="last:1")),
    Question(user="nobody", k=1, terms=Terms(candidates=("i05", "i06"))),
]


def test_questions_of_any_terms_are_answered_as_each_alone(recommender: Recommender) -> None:
    for together, question in zip(recommender.answer(MANY), MANY, strict=True):
        single = alone(recommender, question)
        assert ids(together) == ids(single)
        assert [one.score for one in together] == pytest.approx([one.score for one in single], rel=1e-5)
        assert (together.source, together.filtered, together.unknown) == (
            single.source,
            single.filtered,
            single.unknown,
        )


def test_the_model_is_asked_once_for_all_questions(recommender: Recommender) -> None:
    overheard = Overheard(recommender.known.scorer)
    Recommender(replace(recommender.known, scorer=overheard)).answer(MANY)
    assert len(overheard.asked) == 1


def test_an_answer_lists_what_recommend_lists(recommender: Recommender) -> None:
    answers = recommender.answer([Question(history, k=5) for history in HISTORIES])
    lists = recommender.recommend(HISTORIES, k=5)
    assert [ids(answer) for answer in answers] == [[one.item for one in ones] for ones in lists]
    by_user = recommender.answer([Question(user=f"u{user:02}", k=5) for user in range(len(HISTORIES))])
    assert [ids(answer) for answer in by_user] == [ids(answer) for answer in answers]


def test_nothing_known_is_answered_by_popularity_among_what_may_be_listed(recommender: Recommender) -> None:
    answer = alone(recommender, Question(("nothing",), k=2, terms=Terms(exclude=("i00",))))
    assert answer.source == "popularity"
    assert {one.source for one in answer} == {"popularity"}
    assert ids(answer) == [one.item for one in recommender.recommend([[]], k=2, exclude=["i00"])[0]]
    assert answer.unknown == ("nothing",)


def test_an_unknown_user_without_a_history_is_called_a_stranger(recommender: Recommender) -> None:
    answer = alone(recommender, Question(user="nobody", k=2))
    assert (answer.source, answer.is_stranger, answer.continued, len(answer)) == ("popularity", True, False, 2)
    with pytest.raises(DataError, match=r"user 'U07' is not among the 30 users of this catalogue \(did you mean 'u07'"):
        alone(recommender, Question(user="U07", terms=Terms(unknown="error")))


def test_a_known_user_goes_on_with_new_events(recommender: Recommender) -> None:
    new = next(item for item in ALL_ITEMS if item not in HISTORIES[7])
    answer = alone(recommender, Question((new,), user="u07", k=ITEMS))
    assert answer.continued
    assert ids(answer) == ids(alone(recommender, Question((*HISTORIES[7], new), k=ITEMS)))
    apart = alone(recommender, Question((new,), user="u07", k=ITEMS, terms=Terms(histories_only=True)))
    assert ids(apart) == ids(alone(recommender, Question((new,), k=ITEMS)))


def test_what_could_not_be_listed_is_counted_once_by_its_first_reason(recommender: Recommender) -> None:
    terms = Terms(candidates=("i00", "i01", "i02", "i03"), exclude=("i03", "i09"))
    answer = alone(recommender, Question(("i00", "i00", "i05"), k=ITEMS, terms=terms))
    assert answer.filtered == {"not a candidate": 8, "excluded": 1, "seen": 1}
    assert sorted(ids(answer)) == ["i01", "i02"]
    assert sum(answer.filtered.values()) + len(answer) == ITEMS


def test_titles_stand_beside_ids(recommender: Recommender) -> None:
    answer = alone(recommender, Question(("i03",), k=ITEMS))
    assert {one.item: one.title for one in answer} == {item: None for item in ALL_ITEMS if item != "i03"} | {
        "i00": "The First"
    }
    assert recommender.titles == {"i00": "The First"}


@pytest.mark.parametrize(
    ("question", "kind", "message"),
    [
        (Question(("i00",), k=0), ConfigurationError, "k=0: the number of recommendations must be at least 1"),
        (Question("i00"), ConfigurationError, "history='i00' is a text, where a list is meant"),
        (Question((None,)), DataError, r"history\[0\]=None is no id"),  # type: ignore[arg-type]
        (Question(("i00",), times=(1.0, 2.0)), DataError, "2 times and 1 events in history; give one time"),
        (Question(("i00", "i01"), times=(2.0, 1.0)), DataError, "times go back"),
        (Question(("i00",), times=(float("nan"),)), ConfigurationError, r"times\[0\]=nan: a time"),
        (Question(("i00",), kinds=("buy",)), ConfigurationError, "the events have kinds, and the run learnt from"),
        (Question(("i00",), terms=Terms(hide="all")), ConfigurationError, "hide='all' should be history"),
        (Question(("I-01",), terms=Terms(unknown="error")), DataError, r"item 'I-01' \(event 1 of history\) .*'i01'"),
        (
            Question(("i00",), terms=Terms(candidates=("x",), unknown="error")),
            DataError,
            "item 'x' is not among the 12 items",
        ),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_answered_is_refused_before_the_model_is_asked(
    question: Question, kind: type[Exception], message: str, recommender: Recommender
) -> None:
    with pytest.raises(kind, match=message):
        recommender.understood(question)


def test_ids_of_a_catalogue_of_numbers_are_numbers() -> None:
    places = Positions(pl.Series([-3, 7, 12]))
    asked: list[Any] = [7, "12", "012", "x", -3, "-3", 2**70, "9" * 30, "-0", "7.0"]
    assert [places.of(one, "history", 0) for one in asked] == [1, 2, -1, -1, 0, 0, -1, -1, -1, -1]
    texts = Positions(pl.Series(["007", "7"]))
    assert [texts.of(one, "history", 0) for one in (7, "7", "007", 70)] == [1, 1, 0, -1]


def test_no_questions_are_no_answers(recommender: Recommender) -> None:
    assert recommender.answer([]) == []

"""Between what is sent as JSON and what a recommender is asked and answers."""

from nextitem.serving.explaining.explanation import Explanation
from nextitem.serving.question import Answer, Question, Terms
from nextitem.serving.service.bodies import HistoryBody, QuestionBody
from nextitem.serving.service.models import ModelVersion
from nextitem.serving.service.service import Answered, Fallback, Service


def question_of(body: QuestionBody) -> Question:
    """The body as what a recommender is asked."""
    terms = Terms(
        body.candidates, body.exclude, body.hide, body.histories_only, body.unknown, body.where, body.diversity,
        body.limits, body.cursor,
    )  # fmt: skip
    return Question(body.history, body.times, body.kinds, body.user, body.k, terms, features=body.features)


def history_of(body: HistoryBody) -> Question:
    """The body as a question about items that are given elsewhere."""
    terms = Terms(body.candidates, body.exclude, body.hide, body.histories_only, body.unknown, body.where)
    return Question(body.history, body.times, body.kinds, body.user, terms=terms, features=body.features)


def told_of(service: Service, body: HistoryBody, answered: Answered) -> dict[str, object]:
    """What the log says of an answer: which model it came from and how; whose it is only by `log_ids`."""
    model, answer = answered.model, answered.answer
    told = {"model": model.name, "version": model.version, "source": answer.source, "items": len(answer)}
    if answered.fallback is not None:
        told["fallback"] = answered.fallback
    if service.settings.log_ids and body.user is not None:
        told["user"] = body.user
    return told


def reply_of(answered: Answered) -> dict[str, object]:
    """The answer with the keys of `RecommendReply`, which is not made: it would cost more than it proves."""
    return _reply(answered.answer, answered.model, answered.fallback)


def explanation_of(found: Explanation, model: ModelVersion) -> dict[str, object]:
    """The explanation with the keys of `ExplainReply`."""
    what_if = found.what_if
    return {
        "answer": _reply(found.answer, model, fallback_of(found.answer)),
        "history": found.history,
        "items": found.items,  # written as they are: there may be thousands of carriers
        "filtered": found.filtered,
        "is_fallback": found.is_fallback,
        "goes_by_history": found.goes_by_history,
        "untried": found.untried,
        "what_if": what_if
        and {
            "without": what_if.without,
            "added": what_if.added,
            "answer": _reply(what_if.answer, model, fallback_of(what_if.answer)),
            "came": what_if.came,
            "went": what_if.went,
        },
    }


def fallback_of(answer: Answer) -> Fallback | None:
    """Why an answer of the model's thread is the most popular items, where it is."""
    return "nothing known" if answer.source == "popularity" else None


def _reply(answer: Answer, model: ModelVersion, fallback: Fallback | None) -> dict[str, object]:
    return {
        "items": [
            {"item": one.item, "score": one.score, "title": one.title, "source": one.source, "is_cold": one.is_cold}
            for one in answer.items
        ],
        "source": answer.source,
        "fallback": fallback,
        "model": {"name": model.name, "version": model.version},
        "cursor": answer.cursor,
        "filtered": answer.filtered,
        "unknown": answer.unknown,
        "continued": answer.continued,
    }

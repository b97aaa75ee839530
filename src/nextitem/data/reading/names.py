"""By which names the columns of events are known, to those who log them and to the tools that read them."""

from collections.abc import Mapping

Role = str
ROLES = ("user", "item", "time")

_OWN: Mapping[Role, frozenset[str]] = {
    "user": frozenset({"user", "userid"}),
    "item": frozenset({"item", "itemid"}),
    "time": frozenset(),
    "kind": frozenset(),
    "rank": frozenset({"rank"}),
    "score": frozenset({"score"}),
}
_USUAL: Mapping[Role, frozenset[str]] = {
    "user": frozenset({
        "uid", "username", "visitor", "visitorid", "customer", "customerid", "client", "clientid", "member", "memberid",
        "account", "accountid", "reviewerid", "customerno", "customernumber", "buyer", "buyerid", "shopper",
        "shopperid",
    }),
    "item": frozenset({
        "iid", "movie", "movieid", "product", "productid", "sku", "asin", "parentasin", "article", "articleid", "book",
        "bookid", "track", "trackid", "song", "songid", "game", "gameid", "business", "businessid", "news", "newsid",
        "content", "contentid", "goods", "goodsid", "productno", "productcode", "articleno", "articlenumber", "film",
        "filmid", "video", "videoid",
    }),
    "time": frozenset({
        "time", "timestamp", "datetime", "date", "ts", "epoch", "unixtime", "unixtimestamp", "unixreviewtime",
        "eventtime", "eventtimestamp", "eventdatetime", "eventdate", "eventts", "createdat", "createdtime",
        "creationtime", "occurredat", "reviewtime", "reviewdate", "visittime", "clicktime", "purchasedate", "orderdate",
        "happenedat", "orderedat", "purchasedat", "boughtat", "viewedat", "visitedat", "clickedat", "watchedat",
        "playedat", "ratedat",
    }),
    "kind": frozenset({
        "kind", "event", "eventtype", "eventname", "behavior", "behaviour", "behaviortype", "behaviourtype", "action",
        "actiontype", "interaction", "interactiontype", "feedback", "feedbacktype",
    }),
    "rank": frozenset({"position", "place"}),
    "score": frozenset({"prediction", "predictedscore", "predictedrating", "probability", "relevance"}),
}  # fmt: skip
_UNITS = ("ms", "us", "ns", "s")


def plain(name: str) -> str:
    """A name without what spellings differ by: case, spaces, `_`, `-` and a type after a colon.

    >>> plain("User_ID:token")
    'userid'
    """
    return name.lower().partition(":")[0].translate(str.maketrans("", "", " _-"))


def own(role: Role, names: list[str]) -> list[str]:
    """Those of the names that are the role's own word.

    >>> own("user", ["userId", "customer_id"])
    ['userId']
    """
    return [name for name in names if plain(name) in _OWN[role]]


def usual(role: Role, names: list[str]) -> list[str]:
    """Those of the names that are usual for a role; its own word (`user`, `user_id`) wins over the words of others.

    Of times none wins: a file with `timestamp` and `date` does not say which of them is the event's.

    >>> usual("user", ["user_id", "customer_id"]), usual("time", ["timestamp", "date"])
    (['user_id'], ['timestamp', 'date'])
    """
    return own(role, names) or [name for name in names if _without_unit(role, plain(name)) in _USUAL[role]]


def unit_of(name: str) -> str | None:
    """The unit of time that a usual name of a column of times ends in, None where it ends in none.

    >>> unit_of("timestamp_ms"), unit_of("ts")
    ('ms', None)
    """
    word = plain(name)
    short = _without_unit("time", word)
    return None if short == word else word.removeprefix(short)


def _without_unit(role: Role, word: str) -> str:
    if role != "time" or word in _USUAL["time"]:
        return word
    return next((word.removesuffix(unit) for unit in _UNITS if word.removesuffix(unit) in _USUAL["time"]), word)


def clipped(text: str) -> str:
    """A text of the file, short enough for a message."""
    return text if len(text) <= 60 else f"{text[:60]}…"


def listed(names: list[str]) -> str:
    """Names of columns, one after the other; of very many the first ones."""
    return ", ".join(map(clipped, names[:50])) + (", …" if len(names) > 50 else "")

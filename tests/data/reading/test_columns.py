"""Which column of a file holds what: found by usual names, or named."""

import pytest

from nextitem.data.reading.columns import Columns, parse_columns
from nextitem.data.reading.files import read_interactions
from nextitem.errors import ConfigurationError
from worlds.event_files import CSV, Write, refusal

KEYS = ", ".join(Columns.model_fields)


def test_columns_are_chosen_by_name(written: Write) -> None:
    file = written("log.csv", "ts,sku,visitor,item\n10,x,ann,pen\n")
    columns = parse_columns("user=visitor,item=sku,time=ts")
    assert columns == Columns(user="visitor", item="sku", time="ts")
    assert read_interactions(file, columns).events.rows() == [("ann", "x", 10)]


@pytest.mark.parametrize("header", ["User_ID,ItemId,Timestamp", "user id,item-id,TIME", "user_id:token,item,time"])
def test_usual_names_are_found_in_any_spelling(written: Write, header: str) -> None:
    assert read_interactions(written("log.csv", f"{header}\nann,x,10\n")).events.rows() == [("ann", "x", 10)]


def test_the_type_of_an_atomic_file_need_not_be_written(written: Write) -> None:
    file = written("log.inter", "uid:token\titem_id:token\nann\tx\n")
    for name in ("uid", "uid:token"):
        assert read_interactions(file, Columns(user=name)).events.rows() == [("ann", "x")]


def test_a_column_that_is_not_there_is_refused_with_those_that_are(written: Write) -> None:
    file = written("log.csv", "whose,what,when\nann,x,10\n")
    assert refusal(file) == (
        f"{file}: there is no column 'user'; known: whose, what, when; name the one that holds the user by "
        f"columns.user=NAME among the settings, or --columns user=NAME; of a file without a header give columns by "
        f"number, such as columns.user=1 columns.item=2 columns.time=4, or --columns user=1,item=2,time=4"
    )
    assert "no column 'whos'; did you mean 'whose'? Known: whose, what, when" in refusal(file, Columns(user="whos"))
    assert "no column 'then'" in refusal(file, Columns(user="whose", item="what", time="then"))


def test_ambiguous_columns_are_refused(written: Write) -> None:
    file = written("log.csv", "user,user_id,item\na,b,x\n")
    assert refusal(file) == (
        f"{file}: 'user' and 'user_id' could be the user; choose by columns.user=NAME among the settings or "
        f"--columns user=NAME, or rename the columns"
    )
    assert read_interactions(file, Columns(user="user_id")).events.rows() == [("b", "x")]
    twice = written("twice.csv", "user,item,item\na,b,x\n")
    assert "2 columns are called 'item'; rename all but the one of the item, or give" in refusal(
        twice, Columns(item="item")
    )


def test_one_column_cannot_have_two_roles(written: Write) -> None:
    message = refusal(written("log.csv", CSV), Columns(item="user"), ConfigurationError)
    assert message == "columns {'item': 'user'}: give each role a column of its own"


def test_pairs_have_no_columns_to_name(written: Write) -> None:
    file = written("log.txt", "1 2\n")
    assert refusal(file, Columns(user="a"), ConfigurationError) == (
        f"{file} holds 'user item' without a header; leave out the names of columns, or give user and item by number "
        f"(columns.user=1 columns.item=2)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("usr=a", f"columns 'usr=a': 'usr' is no role of a column; did you mean 'user'? Known: {KEYS}"),
        ("", f"columns '': '' is no role of a column; known: {KEYS}"),
        ("user", "columns 'user': user has no name; write each once: user=visitor,item=sku,time=ts"),
        (
            "user=a,user=b",
            "columns 'user=a,user=b': user is given twice; write each once: user=visitor,item=sku,time=ts",
        ),
    ],
)
def test_columns_that_cannot_be_understood_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_columns(text)
    assert str(caught.value) == message


def test_columns_are_never_blank() -> None:
    with pytest.raises(ConfigurationError):
        Columns(user="")

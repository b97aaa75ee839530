"""Fields survive every text format, and content that breaks a format is refused at its row."""

import csv
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions
from nextitem.data.reading.formats import EVENT_FORMATS
from nextitem.errors import DataError, StorageError

Write = Callable[[str, str | bytes], Path]

CSV = "user,item,time\nann,x,10\nann,y,20\nbob,x,15\n"

TEXT_ID = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(
    lambda text: text.strip() != ""
)
PLAIN_ID = st.text(st.characters(codec="utf-8", exclude_characters=' \t,"\n\r\ufeff\0'), min_size=1).filter(
    lambda text: text.strip() != ""
)


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Writes content under a name; .gz is compressed."""

    def write(name: str, content: str | bytes) -> Path:
        raw = content.encode() if isinstance(content, str) else content
        file = tmp_path / name
        file.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return file

    return write


def refusal(file: Path, kind: type[Exception] = DataError) -> str:
    with pytest.raises(kind) as caught:
        read_interactions(file)
    return str(caught.value)


# What Unicode calls white space; str.strip() alone would take the separators U+001C to U+001F as well.
BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def within_blanks(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The ids without the blanks around them, which do not count in text."""
    return [(user.strip(BLANKS), item.strip(BLANKS)) for user, item in pairs]


@given(st.lists(st.tuples(TEXT_ID, TEXT_ID), min_size=1, max_size=8))
def test_ids_of_any_text_survive_csv(pairs: list[tuple[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "log.csv"
        with file.open("w", encoding="utf-8", newline="") as sink:
            csv.writer(sink).writerows([("user", "item"), *pairs])
        events = read_interactions(file, Columns(missing="ids")).events
    assert [(str(user), str(item)) for user, item in events.iter_rows()] == within_blanks(pairs)


@given(
    st.lists(st.tuples(PLAIN_ID, PLAIN_ID), min_size=1, max_size=8), st.sampled_from([" .txt", "\t.tsv", "\t.inter"])
)
def test_plain_ids_survive_formats_without_quotes(pairs: list[tuple[str, str]], form: str) -> None:
    header = [] if form == " .txt" else [("user", "item")]
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"log{form[1:]}"
        file.write_text("".join(f"{user}{form[0]}{item}\n" for user, item in header + pairs), "utf-8", newline="\n")
        events = read_interactions(file, Columns(missing="ids", header="yes" if header else "no")).events
    assert [(str(user), str(item)) for user, item in events.iter_rows()] == within_blanks(pairs)


def test_rows_of_another_width_are_refused(written: Write) -> None:
    file = written("log.csv", "user,item\na,x\na\n\na,x\nb,y,5\n")
    assert refusal(file) == (
        f"{file}:3: 'a' has 1 fields separated by ',', not 2 (user, item); correct the row or drop it "
        f"(2 such rows: 3, 6)"
    )
    quoted = written("quoted.csv", 'user,item\n"a\nb",x\n"c","y,z",5\n')
    assert f"{quoted}:4: 'c,y,z,5' has 3 fields" in refusal(quoted)
    sequences = written("log.txt", "1 2 3 4\n")
    assert f"{sequences}:1: '1 2 3 4' has 4 fields separated by ' ', not 2 (user, item)" in refusal(sequences)
    many = written("many.txt", "1\n" * 9)
    assert refusal(many).endswith("(9 such rows: 1, 2, 3, 4, 5, …)")


@pytest.mark.parametrize("row", ['"ann,x,10', '"ann"a,x,10', '"ann,x,10\nbob,"y",3'])
def test_quotes_that_do_not_match_are_refused(written: Write, row: str) -> None:
    file = written("log.csv", f"user,item,time\nann,x,10\n{row}\nbob,x,15\n")
    message = refusal(file)
    assert message.startswith(f"{file}:3: ")
    assert message.endswith("close every quote that opens a field, and write a quote inside a quoted field twice")


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.txt"])
def test_a_carriage_return_inside_a_line_is_refused(written: Write, name: str) -> None:
    separator = {"log.csv": ",", "log.tsv": "\t", "log.txt": " "}[name]
    doubled = written(name, f"{'0,0' if name == 'log.txt' else 'user,item'}\r\r\n1,2\r\r\n".replace(",", separator))
    assert str(read_interactions(doubled).events.row(-1)[1]) == "2"
    file = written(name, "user,item\n1,2\n3,4\r5,6\n".replace(",", separator))
    assert refusal(file) == f"{file}:3: there is a carriage return inside the line; end lines with \\n or \\r\\n"


def test_a_quote_inside_a_plain_field_is_a_character(written: Write) -> None:
    assert read_interactions(written("log.csv", 'user,item\na,19" tv\n')).events.rows() == [("a", '19" tv')]
    assert read_interactions(written("log.tsv", 'user\titem\na\t"tv\n')).events.rows() == [("a", '"tv')]


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "quoted.csv"])
def test_text_that_is_not_utf_8_is_refused(written: Write, name: str) -> None:
    quote = b'"' if name == "quoted.csv" else b""
    file = written(name, b"user,item\na,x\n" + quote + b"caf\xe9" + quote + b",x\n")
    place = 4 + len(quote)
    assert refusal(file) == f"{file}:3: byte {place} of the line (0xe9) is not UTF-8; save the file as UTF-8"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (gzip.compress(CSV.encode(), mtime=0), "gzip; name it .gz"),
        (b"PK\x03\x04\xff\n", "zip or Excel; save it as csv"),
        (b"PAR1\xff\n", "parquet; name it .parquet"),
        (CSV.encode("utf-16"), "UTF-16; save it as UTF-8"),
    ],
)
def test_content_of_another_kind_is_recognised(written: Write, content: bytes, kind: str) -> None:
    file = written("log.csv", content)
    assert refusal(file) == f"{file} is not text: it begins like {kind}"


@given(content=st.binary(min_size=1))
@pytest.mark.parametrize("name", [*(f"log{ending}" for form in EVENT_FORMATS for ending in form.endings), "log.csv.gz"])
def test_garbage_never_raises_anything_but_a_named_error(name: str, content: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(content)
        try:
            found = len(read_interactions(file))
        except DataError as error:
            assert name in str(error)  # noqa: PT017 - there are bytes that can be read
        else:
            assert found > 0


def test_a_damaged_gzip_file_is_refused(written: Write) -> None:
    file = written("log.csv.gz", "user,item\n" + "".join(f"{n},{n * n}\n" for n in range(20_000)))
    whole = file.read_bytes()
    wrong_check = bytearray(whole)
    wrong_check[-6] ^= 1
    for damaged in (whole[: len(whole) // 2], whole[:-3], bytes(wrong_check), CSV.encode()):
        file.write_bytes(damaged)
        message = refusal(file)
        assert message.startswith(f"{file} is not a complete gzip file (")
        assert message.endswith("copy or download it again")


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_a_file_that_may_not_be_read_is_a_storage_error(
    written: Write, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(file: Path, mode: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    file = written(name, CSV)
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(os, "open", refuse)
    assert refusal(file, kind=StorageError) == (
        f"{file} could not be read: Permission denied; check the file's permissions and the disk"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_locked_file_is_a_storage_error(written: Write) -> None:
    file = written("log.csv", CSV)
    file.chmod(0)
    assert "Permission denied" in refusal(file, kind=StorageError)


@pytest.mark.parametrize(
    ("name", "header", "rows", "place"),
    [
        ("log.csv", "user,item", ["a,x", "user,item", "b,x"], 3),
        ("log.csv", "user,item,time", ["a,x,1", "user,item,time", "b,x,2"], 3),
        ("log.csv", "rating, user , item", ["5,a,x", "", "", "rating,user,item", "5,b,x"], 5),
        ("log.csv", '"user","item"', ['"a","x"', '"user", item ', "b,x"], 3),
        ("log.inter.gz", "user_id:token\titem_id:token", ["a\tx", "user_id:token\titem_id:token"], 3),
    ],
)
def test_a_header_that_stands_there_again_is_refused_with_its_row(
    written: Write, name: str, header: str, rows: list[str], place: int
) -> None:
    file = written(name, "\n".join([header, *rows]))
    told = f"{file}:{place}: the header stands here a second time, as where files were put together; drop the row"
    assert refusal(file) == told
    again = "\n".join([header, *rows, rows[-1], header])
    assert refusal(written(name, again)) == f"{told} (2 such rows: {place}, {len(rows) + 3})" or name.endswith(".gz")


def test_an_event_may_have_ids_like_the_names_of_columns(written: Write, tmp_path: Path) -> None:
    assert len(read_interactions(written("log.csv", "user,item\nuser,x\na,item\n"))) == 2
    pl.DataFrame({"user": ["user"], "item": ["item"]}).write_parquet(tmp_path / "log.parquet")
    assert read_interactions(tmp_path / "log.parquet").events.rows() == [("user", "item")]

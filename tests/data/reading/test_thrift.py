"""What a parquet file says of itself is read by the protocol's rules, and never by what it claims alone."""

import pytest

from nextitem.data.reading.thrift import Description


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        ([0x00], {}),
        ([0x15, 0x06, 0x00], {1: 3}),  # step 1, i32, zigzag 3
        ([0x16, 0x05, 0x00], {1: -3}),
        ([0x15, 0xC8, 0x01, 0x00], {1: 100}),
        ([0x11, 0x12, 0x00], {1: True, 2: False}),
        ([0x05, 0x28, 0x06, 0x00], {20: 3}),  # a number of its own, zigzag 20
        ([0x18, 0x02, 0x61, 0x62, 0x00], {1: b"ab"}),
        ([0x19, 0x25, 0x02, 0x04, 0x00], {1: [1, 2]}),
        ([0x1C, 0x15, 0x02, 0x00, 0x15, 0x04, 0x00], {1: {1: 1}, 2: 2}),
        ([0x1B, 0x01, 0x58, 0x02, 0x01, 0x7A, 0x00], {1: [(1, b"z")]}),
        ([0x1B, 0x00, 0x00], {1: []}),
        ([0x17, *range(8), 0x00], {1: bytes(range(8))}),
    ],
)  # fmt: skip
def test_fields_have_numbers_and_values(content: list[int], fields: dict[int, object]) -> None:
    description = Description(bytes(content))
    assert description.fields() == fields
    assert description.place == len(content)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"", "ends too early"),
        (b"\x15", "ends too early"),
        (b"\x18\xff\xff\xff\x7fab", "ends too early"),
        (b"\x19\xf5\xff\xff\xff\xff\x0f\x00", "ends too early"),  # a list of four thousand million integers
        (b"\x15" + b"\xff" * 11, "integer beyond 64 bits"),
        (b"\x1e\x00", "unknown kind 14"),
        (b"\x1c" * 100, "nested more than 32 deep"),
    ],
)
def test_what_is_none_is_refused(content: bytes, fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        Description(content).fields()

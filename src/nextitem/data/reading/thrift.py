"""The compact protocol of Apache Thrift, as far as parquet describes itself in it: bytes -> fields by number.

Source: the protocol's specification, `thrift-compact-protocol.md` of Apache Thrift.
"""

from typing import Any

Fields = dict[int, Any]
"""Integers, bytes, bools, lists and fields again, by the number that the format gives each."""

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)
_DEEPEST = 32
_LONGEST_INTEGER = 10  # bytes that 64 bits take, seven in each


class Description:
    """What reads fields from bytes, one after another; `place` is where the next begins.

    Nothing is set aside for a length before as many bytes are known to be there. Raises ValueError where bytes end too
    early or are none of the protocol.
    """

    def __init__(self, content: bytes, place: int = 0) -> None:
        self._content, self.place = content, place

    def fields(self, depth: int = 0) -> Fields:
        """The fields of a struct, and of all that is in it."""
        if depth > _DEEPEST:
            raise ValueError(f"its description is nested more than {_DEEPEST} deep")
        found: Fields = {}
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._integer()
            found[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _STRUCT:
            return self.fields(depth + 1)
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _MAP:
            return self._map(depth)
        if kind == _BINARY:
            return self._take(self._length())
        if kind == _DOUBLE:
            return self._take(8)
        if kind in (_BYTE, _TRUE, _FALSE):  # inside a list, true and false take a byte as well
            return self._byte()
        raise ValueError(f"its description has a field of the unknown kind {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        length, kind = head >> 4, head & 15
        length = self._length() if length == 15 else length
        return [self._value(kind, depth + 1) for _ in range(self._fitting(length))]

    def _map(self, depth: int) -> list[Any]:
        length = self._fitting(self._length())
        kinds = self._byte() if length else 0
        return [(self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)) for _ in range(length)]

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, length: int) -> bytes:
        start, self.place = self.place, self.place + self._fitting(length)
        return self._content[start : self.place]

    def _fitting(self, length: int) -> int:
        """A length, if as many bytes are left: nothing that has one takes less than a byte."""
        if length > len(self._content) - self.place:
            raise ValueError("its description ends too early")
        return length

    def _length(self) -> int:
        number = 0
        for position in range(_LONGEST_INTEGER):
            byte = self._byte()
            number |= (byte & 127) << 7 * position
            if byte < 128:
                return number
        raise ValueError("its description has an integer beyond 64 bits")

    def _integer(self) -> int:
        number = self._length()
        return (number >> 1) ^ -(number & 1)

"""Reads the two messages that carry arrays without copying them.

protobuf's own parser copies a bytes field twice before numpy sees it. Headers, and all other messages, go through the
generated classes.
"""

from __future__ import annotations

from collections.abc import Iterator

from curriculum.errors import DataLoss

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: an int, or a view of the bytes of a string, bytes or message field."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield number, value
        elif kind == _BYTES:
            length, position = _varint(message, position)
            yield number, _part(message, position, length)
            position += length
        elif kind in _WIDTHS:
            width = _WIDTHS[kind]
            yield number, int.from_bytes(_part(message, position, width), "little")
            position += width
        else:
            raise DataLoss(f"a message has a field of unknown kind {kind}")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """The number at `position`, and where the next field begins."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise DataLoss("a message is cut off")


def _part(message: memoryview, position: int, length: int) -> memoryview:
    if position + length > len(message):
        raise DataLoss("a message is cut off")
    return message[position : position + length]


def oneof(message: bytes) -> tuple[int, memoryview]:
    """Number and content of the one message field that `message` consists of."""
    found = (0, memoryview(b""))
    for number, value in fields(memoryview(message)):
        if isinstance(value, memoryview):
            found = (number, value)
    return found


def chunk(content: memoryview, array: int) -> tuple[int, memoryview]:
    """Index of the first value (field 1), and the bytes of field `array`, of a chunk."""
    start, values = 0, memoryview(b"")
    for number, value in fields(content):
        if number == 1 and isinstance(value, int):
            start = value
        elif number == array and isinstance(value, memoryview):
            values = value
    return start, values

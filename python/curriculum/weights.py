"""Weights off the wire, into one array."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curriculum import wire
from curriculum.errors import DataLoss
from curriculum.v1 import curriculum_pb2 as pb

F32 = NDArray[np.float32]

# Puts the values of a chunk into their place in the result.
Decoder = Callable[[memoryview, F32], None]

_HEADER, _CHUNK, _VALUES = 1, 2, 2

ENCODINGS = {"f32": pb.ENCODING_F32, "f16": pb.ENCODING_F16, "u16": pb.ENCODING_U16}


@dataclass(frozen=True)
class Weights:
    """The answer to one request."""

    header: pb.WeightsHeader
    values: F32 | None
    """f32 (end - start,); None when the server says that they are those the client has."""


def read(messages: Iterable[bytes]) -> Weights:
    """A stream of GetWeightsResponse. DataLoss where values are missing."""
    stream = iter(messages)
    number, content = wire.oneof(next(stream, b""))
    if number != _HEADER:
        raise DataLoss("the weights' header is missing")
    header = pb.WeightsHeader.FromString(bytes(content))
    if header.not_modified:
        return Weights(header, None)
    first, length = header.range.start, header.range.end - header.range.start
    values = np.empty(length, dtype=np.float32)
    decode, width = _decoder(header)
    done = 0
    for message in stream:
        start, part = wire.chunk(wire.oneof(message)[1], _VALUES)
        count = len(part) // width
        if start != first + done or count * width != len(part) or done + count > length:
            raise DataLoss(f"weights at {start} follow those up to {first + done}")
        decode(part, values[done : done + count])
        done += count
    if done != length:
        raise DataLoss(f"{done} of {length} weights arrived")
    return Weights(header, values)


def _decoder(header: pb.WeightsHeader) -> tuple[Decoder, int]:
    """How the header's encoding is read, and its bytes per value."""
    if header.encoding == pb.ENCODING_F32:
        return _f32, 4
    if header.encoding == pb.ENCODING_F16:
        # No server sends those halves that are no numbers.
        with np.errstate(invalid="ignore"):
            return _looked_up(header.scale * np.arange(1 << 16, dtype="<u2").view("<f2").astype(np.float64)), 2
    if header.encoding == pb.ENCODING_U16:
        return _looked_up(header.scale * np.exp(-header.step * np.arange(1 << 16))), 2
    raise DataLoss(f"weights came in the unknown encoding {header.encoding}")


def _f32(part: memoryview, out: F32) -> None:
    out[:] = np.frombuffer(part, dtype="<f4")


def _looked_up(table: NDArray[np.float64]) -> Decoder:
    """The weight of each of the 65,536 values: numpy converts a half more slowly than it finds one in the cache."""
    weights = table.astype(np.float32)

    def decode(part: memoryview, out: F32) -> None:
        weights.take(np.frombuffer(part, dtype="<u2"), out=out, mode="clip")

    return decode

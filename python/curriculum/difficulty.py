"""Difficulties: from the cache, else from the server."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from curriculum import wire
from curriculum.cache import DifficultyCache
from curriculum.connection import Connection
from curriculum.errors import DataLoss
from curriculum.schedule import check_range, order_to_proto
from curriculum.v1 import curriculum_pb2 as pb

F32 = NDArray[np.float32]

_HEADER, _CHUNK, _END, _VALUES = 1, 2, 3, 2


def fetch(
    connection: Connection,
    cache: DifficultyCache,
    name: str,
    version: str,
    samples: int,
    order: str,
    order_seed: int,
) -> F32:
    """f32 (N,) of one version, of N = `samples`, as `order` deals them out.

    Processes of one machine that want it at the same moment fetch it once. Who waits for another's fetch does so for
    as long as one of its own may take.
    """
    request = pb.GetDifficultyRequest(
        curriculum=name,
        version=version,
        difficulty_only=True,
        order=order_to_proto(order),
        order_seed=check_range("order_seed", order_seed, 64),
    )
    key = _key(version, order, order_seed)
    found = cache.load(key)
    if found is None:
        with cache.filling(key, samples, connection.timeout + connection.retry.total):
            found = cache.load(key)
            if found is None:
                found = connection.stream("CurriculumService/GetDifficulty", request, read)
                cache.store(key, found)
    found.flags.writeable = False
    return found


def _key(version: str, order: str, order_seed: int) -> str:
    if order == "shuffled":
        return f"{version}-shuffled-{order_seed}"
    return f"{version}-reversed" if order == "reversed" else version


def read(messages: Iterable[bytes]) -> F32:
    """A stream of GetDifficultyResponse. DataLoss where values are missing or their checksum is another."""
    stream = iter(messages)
    number, content = wire.oneof(next(stream, b""))
    if number != _HEADER:
        raise DataLoss("the difficulties' header is missing")
    header = pb.DifficultyHeader.FromString(bytes(content))
    first, length = header.range.start, header.range.end - header.range.start
    values = np.empty(length, dtype=np.float32)
    done, checksum, expected = 0, 0, None
    for message in stream:
        number, content = wire.oneof(message)
        if number == _END:
            expected = pb.DifficultyEnd.FromString(bytes(content)).crc32
            continue
        start, part = wire.chunk(content, _VALUES)
        count = len(part) // 4
        if start != first + done or len(part) % 4 or done + count > length:
            raise DataLoss(f"difficulties at {start} follow those up to {first + done}")
        values[done : done + count] = np.frombuffer(part, dtype="<f4")
        checksum = zlib.crc32(part, checksum)
        done += count
    if done != length:
        raise DataLoss(f"{done} of {length} difficulties arrived")
    if expected != checksum:
        raise DataLoss("the difficulties' checksum does not match")
    return values

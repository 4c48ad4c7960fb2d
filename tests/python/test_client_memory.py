"""Arrays come off the wire with one copy: from the messages that gRPC received into the array that the caller gets."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import pytest

from curriculum import Curriculum, difficulty, weights, wire
from curriculum.v1 import curriculum_pb2 as pb
from fake_service import CHUNK
from served import environment

T = TypeVar("T")

SAMPLES = 1 << 23
WHOLE = 4 * SAMPLES
# What may lie beside the array: some messages and, of short encodings, a table of the 65,536 values.
ROOM = 6 << 20

# A server in a process of its own, whose memory does not count.
SERVER = """
import sys
from fake_service import FakeServer, FakeService
service = FakeService()
service.samples = int(sys.argv[1])
with FakeServer(service) as server:
    print(server.address, flush=True)
    sys.stdin.read()
"""


def peak(call: Callable[[], T]) -> tuple[T, int]:
    """The result, and the most bytes that Python and numpy had allocated at once meanwhile."""
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def span(array: memoryview | bytes) -> tuple[int, int]:
    """First address, and the one after the last."""
    view = np.frombuffer(array, dtype=np.uint8)
    start = view.__array_interface__["data"][0]
    return start, start + len(view)


def test_a_chunks_values_lie_in_its_message() -> None:
    message = pb.GetWeightsResponse(chunk=pb.WeightsChunk(start=7, values=bytes(CHUNK))).SerializeToString()
    start, values = wire.chunk(wire.oneof(message)[1], 2)
    assert start == 7 and len(values) == CHUNK
    (first, last), (begin, end) = span(values), span(message)
    assert begin < first and last <= end


def weight_messages(encoding: int, width: int) -> Iterator[bytes]:
    """Each made when it is asked for."""
    whole = pb.IndexRange(end=SAMPLES)
    head = pb.WeightsHeader(range=whole, encoding=encoding, sample_count=SAMPLES, scale=1.0, step=1e-3)
    yield pb.GetWeightsResponse(header=head).SerializeToString()
    for start in range(0, SAMPLES, CHUNK // width):
        yield pb.GetWeightsResponse(chunk=pb.WeightsChunk(start=start, values=bytes(CHUNK))).SerializeToString()


def difficulty_messages() -> Iterator[bytes]:
    whole = pb.IndexRange(end=SAMPLES)
    head = pb.DifficultyHeader(range=whole, sample_count=SAMPLES)
    yield pb.GetDifficultyResponse(header=head).SerializeToString()
    checksum = 0
    for start in range(0, SAMPLES, CHUNK // 4):
        checksum = zlib.crc32(bytes(CHUNK), checksum)
        chunk = pb.DifficultyChunk(start=start, difficulty=bytes(CHUNK))
        yield pb.GetDifficultyResponse(chunk=chunk).SerializeToString()
    yield pb.GetDifficultyResponse(end=pb.DifficultyEnd(crc32=checksum)).SerializeToString()


@pytest.mark.parametrize(
    ("encoding", "width"), [(pb.ENCODING_F32, 4), (pb.ENCODING_F16, 2), (pb.ENCODING_U16, 2)], ids=["f32", "f16", "u16"]
)
def test_weights_take_one_array(encoding: int, width: int) -> None:
    answer, bytes_at_once = peak(lambda: weights.read(weight_messages(encoding, width)))
    assert answer.values is not None and answer.values.nbytes == WHOLE
    assert WHOLE <= bytes_at_once < WHOLE + ROOM


def test_difficulties_take_one_array() -> None:
    values, bytes_at_once = peak(lambda: difficulty.read(difficulty_messages()))
    assert values.nbytes == WHOLE and WHOLE <= bytes_at_once < WHOLE + ROOM


def test_a_call_takes_one_array() -> None:
    command = [sys.executable, "-c", SERVER, str(SAMPLES)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment(), **pipes) as server:
        assert server.stdin is not None and server.stdout is not None
        with Curriculum.connect(server.stdout.readline().strip(), "fake") as curriculum:
            values, bytes_at_once = peak(lambda: curriculum.weights(0))
        server.stdin.close()
    assert values.sum() == pytest.approx(1.0) and values.base is None and not values.flags.writeable
    assert WHOLE <= bytes_at_once < WHOLE + ROOM

"""Arrays off the wire, and weights computed in the client."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import pytest

from curriculum import cache, difficulty, local, weights, wire
from curriculum.errors import DataLoss
from curriculum.v1 import curriculum_pb2 as pb

WEIGHTS = np.random.default_rng(0).dirichlet(np.ones(1000)).astype(np.float32)


def messages(values: np.ndarray, encoding: int = pb.ENCODING_F32, first: int = 0, **header: float) -> list[bytes]:
    """A GetWeights answer in chunks of 300."""
    window = pb.IndexRange(start=first, end=first + len(values))
    head = pb.WeightsHeader(range=window, encoding=encoding, sample_count=5000, **header)
    parts = [pb.GetWeightsResponse(header=head)]
    for start in range(0, len(values), 300):
        chunk = pb.WeightsChunk(start=first + start, values=values[start : start + 300].tobytes())
        parts.append(pb.GetWeightsResponse(chunk=chunk))
    return [part.SerializeToString() for part in parts]


@pytest.mark.parametrize("first", [0, 1, 300, (1 << 40) + 1])
def test_f32_weights_arrive_as_they_were_sent(first: int) -> None:
    answer = weights.read(messages(WEIGHTS, first=first))
    assert answer.header.range.start == first
    np.testing.assert_array_equal(answer.values, WEIGHTS)


def test_f16_weights_are_scaled_halves() -> None:
    scale = float(WEIGHTS.max())
    answer = weights.read(messages((WEIGHTS / scale).astype("<f2"), pb.ENCODING_F16, scale=scale))
    np.testing.assert_allclose(answer.values, WEIGHTS, rtol=2**-11 + 1e-6, atol=scale * 2**-25)


def test_u16_weights_are_steps_below_the_largest() -> None:
    scale, step = float(WEIGHTS.max()), 2e-4
    steps = np.rint(-np.log(WEIGHTS / scale) / step).clip(0, 65535).astype("<u2")
    answer = weights.read(messages(steps, pb.ENCODING_U16, scale=scale, step=step))
    assert steps.max() < 65535
    np.testing.assert_allclose(answer.values, WEIGHTS, rtol=math.expm1(step / 2) + 1e-6)


def test_weights_that_are_not_modified_have_no_values() -> None:
    head = pb.WeightsHeader(not_modified=True, etag="x")
    answer = weights.read([pb.GetWeightsResponse(header=head).SerializeToString()])
    assert answer.values is None and answer.header.etag == "x"


@pytest.mark.parametrize(
    "damaged",
    [
        messages(WEIGHTS)[:-1],
        messages(WEIGHTS)[1:],
        [*messages(WEIGHTS)[:2], *messages(WEIGHTS)[3:]],
        [*messages(WEIGHTS), messages(WEIGHTS)[1]],
        [*messages(WEIGHTS)[:-1], messages(WEIGHTS)[-1][:-1]],
        [],
    ],
    ids=["cut off", "no header", "gap", "too many", "torn", "empty"],
)
def test_weights_with_a_hole_are_refused(damaged: list[bytes]) -> None:
    with pytest.raises(DataLoss):
        weights.read(damaged)


def test_fields_are_read_as_protobuf_reads_them() -> None:
    entry = pb.ScheduleEntry(iteration=1 << 50, temperature=0.25, target=1.0)
    chunk = pb.WeightsChunk(start=(1 << 63) + 5, values=b"abc")
    assert wire.chunk(memoryview(chunk.SerializeToString()), 2) == ((1 << 63) + 5, b"abc")
    # Fields of kinds that chunks do not have yet are passed over.
    newer = entry.SerializeToString() + b"\x65" + bytes(4) + chunk.SerializeToString()
    assert wire.chunk(memoryview(newer), 2) == ((1 << 63) + 5, b"abc")


@pytest.mark.parametrize("torn", [b"\x08", b"\x08\xff", b"\x12\x05abc", b"\x09abc", b"\x0b", b"\x08" + b"\xff" * 11])
def test_a_torn_message_is_refused(torn: bytes) -> None:
    with pytest.raises(DataLoss):
        list(wire.fields(memoryview(torn)))


def difficulty_messages(values: np.ndarray, checksum: int) -> list[bytes]:
    """A GetDifficulty answer."""
    head = pb.DifficultyHeader(range=pb.IndexRange(start=0, end=len(values)), sample_count=len(values))
    chunk = pb.DifficultyChunk(start=0, difficulty=values.tobytes())
    end = pb.DifficultyEnd(crc32=checksum)
    parts = (pb.GetDifficultyResponse(header=head), pb.GetDifficultyResponse(chunk=chunk))
    return [part.SerializeToString() for part in (*parts, pb.GetDifficultyResponse(end=end))]


def test_difficulties_are_checked() -> None:
    checksum = zlib.crc32(WEIGHTS.tobytes())
    np.testing.assert_array_equal(difficulty.read(difficulty_messages(WEIGHTS, checksum)), WEIGHTS)
    with pytest.raises(DataLoss, match="checksum"):
        difficulty.read(difficulty_messages(WEIGHTS, checksum ^ 1))
    with pytest.raises(DataLoss, match="checksum"):
        difficulty.read(difficulty_messages(WEIGHTS, checksum)[:-1])


@pytest.mark.parametrize("temperature", [1e-4, 0.03, 0.5, 10.0, math.inf])
@pytest.mark.parametrize("sign", [-1, 1])
def test_local_weights_are_those_of_the_formula(temperature: float, sign: int) -> None:
    generator = np.random.default_rng(1)
    values = generator.random(local.BLOCK * 2 + 17, dtype=np.float32)
    exact = sign * values.astype(np.float64) / temperature
    exact = np.exp(exact - exact.max())
    exact /= exact.sum()
    got = local.weights(values, sign, temperature)
    normal = exact > np.finfo(np.float32).tiny
    np.testing.assert_allclose(got[normal], exact[normal], rtol=3e-7)
    assert got.dtype == np.float32 and abs(got.sum(dtype=np.float64) - 1) < 1e-6


def test_the_cache_keeps_difficulties_and_refuses_damage(tmp_path: Path) -> None:
    kept = cache.DifficultyCache(tmp_path / "below", cache.DEFAULT_BYTES)
    assert kept.load("v") is None
    kept.store("v", WEIGHTS)
    np.testing.assert_array_equal(kept.load("v"), WEIGHTS)
    whole = kept.path("v").read_bytes()
    for damaged in (whole[:-4], whole[:30] + bytes([whole[30] ^ 1]) + whole[31:], whole[:8], b"", b"X" + whole[1:]):
        kept.path("v").write_bytes(damaged)
        assert kept.load("v") is None
    assert [file.name for file in (tmp_path / "below").iterdir()] == ["v.difficulty"]


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(RuntimeWarning, match="not cached"):
        cache.DifficultyCache(tmp_path / "file", cache.DEFAULT_BYTES).store("v", WEIGHTS)

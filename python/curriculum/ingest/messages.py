"""Batches of samples as messages of a push: split, checked and with their checksum."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from curriculum.v1 import ingest_pb2 as pb

if TYPE_CHECKING:
    from typing_extensions import Self

# Bytes of a message, unless one sample has more.
MESSAGE_BYTES = 1 << 20


class Part(Protocol):
    """Consecutive samples that fit one message."""

    @property
    def ids(self) -> Sequence[str]:
        """One per sample."""
        ...

    @property
    def size(self) -> int:
        """Bytes, about."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector; 0 for images."""
        ...

    def after(self, samples: int) -> Self:
        """Without the first `samples`."""
        ...


@dataclass(frozen=True)
class FeaturePart:
    """Feature vectors."""

    ids: Sequence[str]
    labels: Sequence[str] | None
    values: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return int(self.values.nbytes)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.values.shape[1])

    def after(self, samples: int) -> FeaturePart:
        """Without the first `samples`."""
        return FeaturePart(self.ids[samples:], self.labels and self.labels[samples:], self.values[samples:])

    def message(self, offset: int) -> pb.FeatureRows:
        """The first sample is number `offset` of the push."""
        values = self.values.astype("<f4", copy=False).tobytes()
        names = zip(self.ids, self.labels or [""] * len(self.ids), strict=True)
        checksum = zlib.crc32(b"".join(_counted(text.encode()) for pair in names for text in pair))
        return pb.FeatureRows(
            offset=offset,
            ids=self.ids,
            labels=self.labels or [],
            values=values,
            crc32=zlib.crc32(values, checksum),
        )


@dataclass(frozen=True)
class ImagePart:
    """Image files."""

    ids: Sequence[str]
    labels: Sequence[str] | None
    images: Sequence[bytes]

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(map(len, self.images))

    @property
    def dimension(self) -> int:
        """Images have none."""
        return 0

    def after(self, samples: int) -> ImagePart:
        """Without the first `samples`."""
        return ImagePart(self.ids[samples:], self.labels and self.labels[samples:], self.images[samples:])

    def message(self, offset: int) -> pb.ImageSamples:
        """The first sample is number `offset` of the push."""
        checksum = 0
        samples = []
        for name, label, image in zip(self.ids, self.labels or [""] * len(self.ids), self.images, strict=True):
            for part in (name.encode(), label.encode(), image):
                checksum = zlib.crc32(part, zlib.crc32(_length(part), checksum))
            samples.append(pb.ImageSample(id=name, label=label, image=image))
        return pb.ImageSamples(offset=offset, samples=samples, crc32=checksum)


def features(batch: tuple[Sequence[str], Sequence[str] | None, NDArray[np.floating]]) -> Iterator[FeaturePart]:
    """The parts of (ids, labels or None, values (n, D))."""
    ids, labels, values = batch
    array = np.ascontiguousarray(values, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"features have the shape (n, D), these have {array.shape}")
    _check_lengths(ids, labels, len(array))
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise ValueError(f"the features of sample {ids[row]!r} are not finite")
    rows = max(1, MESSAGE_BYTES // (4 * array.shape[1]))
    for start in range(0, len(array), rows):
        part = slice(start, start + rows)
        yield FeaturePart(list(ids[part]), None if labels is None else list(labels[part]), array[part])


def images(batch: tuple[Sequence[str], Sequence[str] | None, Sequence[bytes]]) -> Iterator[ImagePart]:
    """The parts of (ids, labels or None, files)."""
    ids, labels, files = batch
    _check_lengths(ids, labels, len(files))
    start, size = 0, 0
    for index, file in enumerate(files):
        if index > start and size + len(file) > MESSAGE_BYTES:
            yield _images(ids, labels, files, slice(start, index))
            start, size = index, 0
        size += len(file)
    if start < len(files):
        yield _images(ids, labels, files, slice(start, len(files)))


def _images(ids: Sequence[str], labels: Sequence[str] | None, files: Sequence[bytes], part: slice) -> ImagePart:
    return ImagePart(list(ids[part]), None if labels is None else list(labels[part]), list(files[part]))


def _check_lengths(ids: Sequence[str], labels: Sequence[str] | None, samples: int) -> None:
    if len(ids) != samples or (labels is not None and len(labels) != samples):
        found = f"{len(ids)} ids" + ("" if labels is None else f" and {len(labels)} labels")
        raise ValueError(f"{found} came with {samples} samples")


def _counted(text: bytes) -> bytes:
    return _length(text) + text


def _length(text: bytes) -> bytes:
    return struct.pack("<I", len(text))

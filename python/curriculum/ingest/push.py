"""Features and images from this process, resumable by offset."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from curriculum.connection import Connection
from curriculum.errors import Aborted, CurriculumError, FailedPrecondition, NotFound
from curriculum.ingest import messages
from curriculum.ingest.connect import Options, connected
from curriculum.ingest.progress import Bar
from curriculum.v1 import ingest_pb2 as pb

if TYPE_CHECKING:
    from typing_extensions import Unpack

Labels: TypeAlias = "Sequence[str] | None"
FeatureBatch: TypeAlias = "tuple[Sequence[str], Labels, NDArray[np.floating]]"
ImageBatch: TypeAlias = "tuple[Sequence[str], Labels, Sequence[bytes]]"
Request: TypeAlias = "pb.PushFeaturesRequest | pb.PushImagesRequest"

P = TypeVar("P", bound=messages.Part)

# Bytes that are sent in one call. They are kept until the server has them on disk, so that a call that broke is sent
# again although its batches were consumed; and the next batches are not asked for before.
CALL_BYTES = 32 << 20


def push_features(
    address: str | None,
    push: str,
    batches: Iterable[FeatureBatch],
    total: int | None = None,
    *,
    fingerprint: str = "",
    progress: bool = False,
    **options: Unpack[Options],
) -> str:
    """Sends feature vectors, and returns the source `pushed:PUSH` to submit.

    `batches` yields (ids, labels or None, values) with values f32 (n, D), finite, the same D throughout; ids are
    strings of 1 to 4,096 bytes, all different: else jobs on the push are refused. `total`: the number of samples, if
    known; ValueError if there were others. `push`: its name, 1 to 128 of a-z A-Z 0-9 . _ -. `fingerprint`: what the
    samples come from, in words of your own such as a digest, up to 128 bytes; FailedPrecondition when the push began
    with another.

    The same call again, after whatever ended the first, goes on where the server stands: batches are consumed from the
    start, but what is there is not sent again. At most 32 MiB and a batch are held here. CurriculumError when what is
    there ends in another sample. A push that is complete is not looked at again: nothing is consumed, whatever the
    samples are, with a warning where no `fingerprint` tells whether they are the same.
    """
    parts = (part for batch in batches for part in messages.features(batch))
    with connected(address, options) as connection:
        return _Push(connection, _FEATURES, push, fingerprint, total, Bar(progress)).run(parts)


def push_images(
    address: str | None,
    push: str,
    batches: Iterable[ImageBatch],
    total: int | None = None,
    *,
    fingerprint: str = "",
    progress: bool = False,
    **options: Unpack[Options],
) -> str:
    """Sends image files, each up to 32 MiB, which the server's model turns into features; else as `push_features`.

    `batches` yields (ids, labels or None, list of the files' bytes). A `.npy` file of shape (3, S, S), f16 or f32 in C
    order, is fed to the model as it is, without resizing or normalising; S is the side of the model's input in pixels.
    """
    parts = (part for batch in batches for part in messages.images(batch))
    with connected(address, options) as connection:
        return _Push(connection, _IMAGES, push, fingerprint, total, Bar(progress)).run(parts)


@dataclass(frozen=True)
class _Kind(Generic[P]):
    """What differs between features and images."""

    method: str
    request: Callable[..., Request]
    part: Callable[[P, int], Request]


_FEATURES = _Kind[messages.FeaturePart](
    "IngestService/PushFeatures",
    pb.PushFeaturesRequest,
    lambda part, offset: pb.PushFeaturesRequest(rows=part.message(offset)),
)
_IMAGES = _Kind[messages.ImagePart](
    "IngestService/PushImages",
    pb.PushImagesRequest,
    lambda part, offset: pb.PushImagesRequest(samples=part.message(offset)),
)


class _Push(Generic[P]):
    """One push from its first sample to its last."""

    def __init__(
        self, connection: Connection, kind: _Kind[P], name: str, fingerprint: str, total: int | None, bar: Bar
    ) -> None:
        self._connection = connection
        self._kind = kind
        self._name = name
        self._fingerprint = fingerprint
        self._total = total
        self._bar = bar

    def run(self, parts: Iterable[P]) -> str:
        """Sends what is missing, and the end."""
        stands = self._stands()
        if stands.fingerprint and self._fingerprint and stands.fingerprint != self._fingerprint:
            raise FailedPrecondition(
                f"push {self._name!r} is of {stands.fingerprint!r}, not of {self._fingerprint!r}; take another name"
            )
        if stands.complete:
            self._check_total(stands.samples)
            if not self._fingerprint:
                advice = "give a fingerprint to notice other samples"
                warnings.warn(f"push {self._name!r} is complete and stays as it is: {advice}", stacklevel=3)
            return stands.source
        position, dimension = stands.samples, stands.dimension
        pending: list[tuple[int, P]] = []
        size = 0
        for position, part in self._missing(parts, stands):
            dimension = part.dimension
            pending.append((position, part))
            size += part.size
            position += len(part.ids)
            if size >= CALL_BYTES:
                self._send(dimension, pending, None)
                self._bar.show(f"push {self._name}", position, self._total or 0)
                pending, size = [], 0
        self._check_total(position)
        source = self._send(dimension, pending, position)
        self._bar.show(f"push {self._name}", position, position)
        self._bar.end()
        return source

    def _stands(self) -> pb.PushResponse:
        """What the server has; nothing, if it does not know the push."""
        request = pb.GetPushRequest(push=self._name)
        try:
            return self._connection.unary("IngestService/GetPush", request, pb.PushResponse)
        except NotFound:
            return pb.PushResponse()

    def _missing(self, parts: Iterable[P], stands: pb.PushResponse) -> Iterator[tuple[int, P]]:
        """What the server does not have, each with the number of its first sample."""
        position = 0
        for part in parts:
            end = position + len(part.ids)
            if position < stands.samples <= end and part.ids[stands.samples - 1 - position] != stands.last_id:
                raise CurriculumError(
                    f"push {self._name!r} has other samples: its sample {stands.samples - 1} is {stands.last_id!r}, "
                    f"here it is {part.ids[stands.samples - 1 - position]!r}; take another name"
                )
            if end > stands.samples:
                known = max(0, stands.samples - position)
                yield position + known, part.after(known) if known else part
            position = end
        if position < stands.samples:
            raise CurriculumError(f"push {self._name!r} has {stands.samples} samples already, here are {position}")

    def _send(self, dimension: int, pending: list[tuple[int, P]], end: int | None) -> str:
        """One call, again until it arrived: samples that are sent twice are taken once."""
        kind = self._kind
        header = pb.PushHeader(push=self._name, dimension=dimension, fingerprint=self._fingerprint)
        requests = [kind.request(header=header)]
        requests += [kind.part(part, offset) for offset, part in pending]
        if end is not None:
            requests.append(kind.request(end=pb.PushEnd(samples=end)))

        def call() -> str:
            try:
                return self._connection.upload(kind.method, requests, pb.PushResponse).source
            except FailedPrecondition:
                stands = self._stands()
                if end is not None and stands.complete and stands.samples == end:
                    return stands.source
                raise

        # ABORTED: the call that broke has not ended yet on the server.
        return self._connection.retry.run(call, also=(Aborted,))

    def _check_total(self, samples: int) -> None:
        if self._total is not None and samples != self._total:
            raise ValueError(f"push {self._name!r} has {samples} samples, not the {self._total} that were announced")

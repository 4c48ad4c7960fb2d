"""The reader's side: weights, schedules, difficulties and indices of one curriculum."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curriculum import cache, difficulty, indices, negotiation, weights
from curriculum.connection import DEFAULT_TIMEOUT, Connection
from curriculum.errors import DataLoss, FailedPrecondition, InvalidArgument, LengthMismatch
from curriculum.local import LocalCurriculum
from curriculum.retry import Retry
from curriculum.schedule import ScheduleEntry, check_iteration, check_range, from_proto, order_to_proto
from curriculum.server import connect_or_start
from curriculum.tls import TlsConfig
from curriculum.v1 import curriculum_pb2 as pb

if TYPE_CHECKING:
    from typing_extensions import Self

F32 = NDArray[np.float32]
U32 = NDArray[np.uint32]

_SCHEDULE_LIMIT = 10_000


class Curriculum:
    """One curriculum on one server, pinned to the version it had when this was made.

    Threads may share it. So may forked processes, DataLoader workers among them: each gets its own connection when it
    makes its first call. It pickles, for processes that are spawned, and holds its key then.
    """

    name: str
    """Name of the curriculum, without an alias."""
    version: str
    """The version that was found at connection, 64 hexadecimal digits; unless `follow`, all answers come from it."""
    samples: int
    """Number of samples N of that version, and of every version that a client with `follow` goes on to."""

    def __init__(self, connection: Connection, name: str, version: str | None = None, *, follow: bool = False) -> None:
        """Over a connection that stays the caller's; see `connect` for the rest."""
        found = negotiation.resolve(connection, name, version)
        self.name, self.version, self.samples = found.name, found.version, found.samples
        self._connection = connection
        self._asked = (name or found.name, version or "") if follow else (found.name, found.version)
        self._cache = cache.DifficultyCache(cache.folder() / "difficulty", cache.size_limit())
        self._begin()

    def _begin(self) -> None:
        """What no copy takes along."""
        self._last: dict[tuple[object, ...], tuple[str, F32]] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Where and how to connect, key included, and what it is pinned to. Unpickling asks the server nothing."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_last", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The same curriculum over a connection of its own."""
        self.__dict__.update(state)
        self._begin()

    @classmethod
    def connect(
        cls,
        address: str | None = None,
        name: str = "",
        version: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: Retry | None = None,
        tls: TlsConfig | None = None,
        api_key: str | None = None,
        read_key: str | None = None,
        write_key: str | None = None,
        expected_samples: int | None = None,
        follow: bool = False,
    ) -> Self:
        """Finds `name` on the server at `address`.

        `address`: HOST:PORT, http://HOST:PORT or https://HOST:PORT; dns:///HOST:PORT or ipv4:IP:PORT,IP:PORT for
        servers of the same versions, which then answer in turn; None: CURRICULUM__SERVER, and without that a server of
        this machine, which starts in a cache folder and stops when the last process that uses it ends.
        `name`: a curriculum, NAME@ALIAS or NAME@VERSION; empty: the only one that the server has.
        `version`: 64 hexadecimal digits or an alias. None: the newest. It is resolved now, and later refits do not move
        this client, unless with `follow`: then `weights`, `schedule` and `sample_indices` ask for what the name means
        at each call. Once that is a version of another number of samples, weights and indices are refused with
        LengthMismatch, which names both. `difficulty`, `local` and samplers keep to the version found now.
        `timeout`: deadline of each call, seconds. `retry`: what happens while nobody answers.
        `tls`, `api_key` (or `read_key`, or `write_key`, which may read too): by default as CURRICULUM_TLS_CA,
        CURRICULUM_TLS_CERT, CURRICULUM_TLS_KEY and CURRICULUM_API_KEY say.
        `expected_samples`: length of the dataset; LengthMismatch if the curriculum has another.

        Raises NotFound, NotPublished, VersionMismatch, LengthMismatch, Unavailable, PermissionDenied, ValueError.
        """
        key = api_key or read_key or write_key
        connection = connect_or_start(address, timeout=timeout, retry=retry, tls=tls, api_key=key)
        try:
            curriculum = cls(connection, name, version, follow=follow)
            if expected_samples is not None:
                curriculum.check_length(expected_samples)
        except BaseException:
            connection.close()
            raise
        return curriculum

    def check_length(self, samples: int) -> None:
        """LengthMismatch, naming both, unless the curriculum has that many samples."""
        if samples != self.samples:
            raise LengthMismatch(
                f"the dataset has {samples:,} samples, but version {self.version[:12]} of curriculum {self.name!r} "
                f"has {self.samples:,}: they must be the same samples in the same order"
            )

    def weights(
        self,
        iteration: int,
        order: str = "easy_first",
        order_seed: int = 0,
        encoding: str = "f32",
        start: int | None = None,
        end: int | None = None,
    ) -> F32:
        """The sampler weights at `iteration` of samples `start` <= index < `end`: f32, summing to one over all samples.

        `order`: easy_first, hard_first, reversed or shuffled (by `order_seed`). `encoding`: f32; f16 and u16 halve the
        bytes, with a relative error that GetWeights states. The array is read-only: where weights did not change since
        the last call, it is that call's.
        """
        if encoding not in weights.ENCODINGS:
            raise ValueError(f"encoding {encoding!r} is none of {', '.join(weights.ENCODINGS)}")
        name, version = self._asked
        request = pb.GetWeightsRequest(
            curriculum=name,
            version=version,
            iteration=check_iteration(iteration),
            order=order_to_proto(order),
            order_seed=check_range("order_seed", order_seed, 64),
            encoding=weights.ENCODINGS[encoding],
        )
        if start is not None or end is not None:
            request.range.start = check_range("start", start or 0, 64)
            request.range.end = check_range("end", self.samples if end is None else end, 64)
        key = (order, order_seed, encoding, start, end)
        with self._lock:
            etag, last = self._last.get(key, ("", None))
        if last is not None:
            request.if_none_match = etag
        with self._following():
            answer = self._connection.stream("CurriculumService/GetWeights", request, weights.read)
        self._check_followed(answer.header.version, answer.header.sample_count)
        values = last if answer.values is None else answer.values
        if values is None:
            raise DataLoss("the server sent no weights for a request that did not allow it")
        values.flags.writeable = False
        with self._lock:
            # One set of weights is kept: whoever wants several orders at once pays for it here and not in memory.
            self._last = {key: (answer.header.etag, values)} if answer.header.etag else {}
        return values

    def schedule(self, iterations: Iterable[int], order: str = "easy_first") -> list[ScheduleEntry]:
        """An entry for each of `iterations`, in their order. The cost does not depend on the number of samples."""
        wanted = [check_iteration(iteration) for iteration in iterations]
        name, version = self._asked
        entries: list[ScheduleEntry] = []
        for first in range(0, len(wanted), _SCHEDULE_LIMIT):
            request = pb.GetScheduleRequest(
                curriculum=name,
                version=version,
                iterations=wanted[first : first + _SCHEDULE_LIMIT],
                order=order_to_proto(order),
            )
            answer = self._connection.unary("CurriculumService/GetSchedule", request, pb.GetScheduleResponse)
            entries += map(from_proto, answer.entries)
        return entries

    def difficulty(self, order: str = "easy_first", order_seed: int = 0) -> F32:
        """Difficulties of the pinned version: f32 (N,), 0 is easiest; for reversed and shuffled, as they deal them out.

        Fetched once per machine and version, also by ranks that ask together, and kept in the cache folder
        (CURRICULUM_CACHE), which holds up to CURRICULUM_CACHE_BYTES of those used last.
        """
        return difficulty.fetch(self._connection, self._cache, self.name, self.version, self.samples, order, order_seed)

    def local(self, order: str = "easy_first", order_seed: int = 0) -> LocalCurriculum:
        """The pinned version for weights that are computed here: per iteration, only a temperature is asked for."""
        values = self.difficulty(order, order_seed)
        sign = +1 if order == "hard_first" else -1
        return LocalCurriculum(values, sign, lambda iteration: self._pinned_entry(iteration, order))

    def sample_indices(
        self,
        iteration: int,
        batch: int,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        iterations: int = 1,
        order: str = "easy_first",
        order_seed: int = 0,
        window: int = 0,
    ) -> U32:
        """The indices that `rank` of `world_size` draws: u32 (iterations, batch // world_size), from `iteration` on.

        `batch` is the draws per iteration over all ranks. Position j of an iteration's draws depends on version, seed,
        iteration and j alone, and rank r has positions r, r + world_size, ...: any number of ranks draws the same.
        `window`: 0 draws with replacement; W: iterations kW to kW + W - 1 hold no index twice. At most 2^19 draws an
        iteration and rank, W at most 2^16, and W x batch at most N and 2^24.
        """
        draws = indices.Draws(batch, rank, world_size, seed, order, order_seed, window)
        name, version = self._asked
        target = indices.Source(self._connection, name, version, self.samples)
        with self._following():
            return target.fetch(draws, iteration, iterations)

    def source(self) -> indices.Source:
        """Where the samplers draw from: always the pinned version."""
        return indices.Source(self._connection, self.name, self.version, self.samples)

    def at(self, version: str) -> Self:
        """The same curriculum, on the same connection, pinned to `version`."""
        return type(self)(self._connection, self.name, version)

    def close(self) -> None:
        """Closes the connection. Safe to repeat."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Closes at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes."""
        self.close()

    def __repr__(self) -> str:
        """Name, version and number of samples."""
        return f"Curriculum({self.name!r}, version={self.version[:12]!r}, samples={self.samples})"

    @contextmanager
    def _following(self) -> Iterator[None]:
        """Tells a refusal that comes from the name's new version having another number of samples."""
        try:
            yield
        except (FailedPrecondition, InvalidArgument):
            if self._asked != (self.name, self.version):
                now = negotiation.resolve(self._connection, *self._asked)
                self._check_followed(now.version, now.samples)
            raise

    def _check_followed(self, version: str, samples: int) -> None:
        if samples != self.samples:
            raise LengthMismatch(
                f"curriculum {self.name!r} has {samples:,} samples in version {version[:12]}, but had {self.samples:,} "
                f"in version {self.version[:12]}, when this client connected: connect again, with a dataset of as many"
            )

    def _pinned_entry(self, iteration: int, order: str) -> ScheduleEntry:
        request = pb.GetScheduleRequest(
            curriculum=self.name,
            version=self.version,
            iterations=[check_iteration(iteration)],
            order=order_to_proto(order),
        )
        answer = self._connection.unary("CurriculumService/GetSchedule", request, pb.GetScheduleResponse)
        return from_proto(answer.entries[0])

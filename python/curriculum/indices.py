"""Indices to draw, from the server."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curriculum.connection import Connection
from curriculum.errors import CurriculumError, DataLoss, DeadlineExceeded
from curriculum.retry import Retry
from curriculum.schedule import check_iteration, check_range, order_to_proto
from curriculum.v1 import curriculum_pb2 as pb

U32 = NDArray[np.uint32]

# Most indices that one answer may hold, most iterations, and most draws of all ranks that it, or a window, may stand
# for; and most iterations of a window.
_INDICES, _ITERATIONS, _DRAWS, _WINDOW = 1 << 19, 10_000, 1 << 24, 1 << 16


@dataclass(frozen=True)
class Draws:
    """What, beside version and iteration, decides the indices of one rank."""

    batch: int
    """Draws per iteration over all ranks."""
    rank: int = 0
    world_size: int = 1
    seed: int = 0
    order: str = "easy_first"
    order_seed: int = 0
    window: int = 0
    """0: with replacement; W: iterations kW to kW + W - 1 hold no index twice. W is at most 2^16, W x batch 2^24."""

    def __post_init__(self) -> None:
        """Refuses what no server would take, naming the field."""
        order_to_proto(self.order)
        if self.batch < 1:
            raise ValueError(f"batch must be 1 or more: {self.batch}")
        if self.world_size < 1 or not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank {self.rank} is not in 0 .. world_size - 1 = {self.world_size - 1}")
        if self.batch % self.world_size:
            raise ValueError(f"batch {self.batch} is not a multiple of world_size {self.world_size}")
        if self.per_rank > _INDICES:
            raise ValueError(f"batch {self.batch} is {self.per_rank} draws for each rank, of at most 2^19 = {_INDICES}")
        if self.window < 0:
            raise ValueError(f"window must be 0 or more: {self.window}")
        if self.window > _WINDOW:
            raise ValueError(f"window {self.window} is more iterations than a window may hold: 2^16 = {_WINDOW}")
        if self.window * self.batch > _DRAWS:
            raise ValueError(
                f"window {self.window} x batch {self.batch} is {self.window * self.batch} draws, but a window may hold "
                f"at most 2^24 = {_DRAWS}"
            )
        # Window and rank are below batch's or world_size's bound by now.
        for name, count in (("batch", self.batch), ("world_size", self.world_size)):
            check_range(name, count, 32)
        for name, seed in (("seed", self.seed), ("order_seed", self.order_seed)):
            check_range(name, seed, 64)

    @property
    def per_rank(self) -> int:
        """Draws per iteration of one rank."""
        return self.batch // self.world_size

    @property
    def iterations_at_once(self) -> int:
        """Most iterations that one answer can hold."""
        return max(1, min(_INDICES // self.per_rank, _ITERATIONS, _DRAWS // self.batch))


@dataclass(frozen=True)
class Source:
    """A version on a server to draw from."""

    connection: Connection
    name: str
    version: str
    samples: int

    def fetch(
        self,
        draws: Draws,
        iteration: int,
        iterations: int,
        *,
        retry: Retry | None = None,
        stop: threading.Event | None = None,
        also: tuple[type[CurriculumError], ...] = (),
    ) -> U32:
        """u32 (iterations, draws.per_rank), in as many calls as it takes."""
        check_iteration(iteration)
        if iterations < 1:
            raise ValueError(f"iterations must be 1 or more: {iterations}")
        rows = np.empty((iterations, draws.per_rank), dtype=np.uint32)
        for done in range(0, iterations, draws.iterations_at_once):
            part = rows[done : done + draws.iterations_at_once]
            request = self._request(draws, iteration + done, len(part))
            answer = self.connection.unary(
                "CurriculumService/SampleIndices", request, pb.SampleIndicesResponse, retry=retry, stop=stop, also=also
            )
            received = np.frombuffer(answer.indices, dtype="<u4")
            if received.size != part.size:
                raise DataLoss(f"{received.size} of {part.size} indices arrived")
            part[:] = received.reshape(part.shape)
        return rows

    def patiently(self, draws: Draws, iteration: int, iterations: int, patience: float, stop: threading.Event) -> U32:
        """As `fetch`, but waits up to `patience` seconds for a server that is away or hangs."""
        return self.fetch(
            draws, iteration, iterations, retry=Retry(total=patience), stop=stop, also=(DeadlineExceeded,)
        )

    def _request(self, draws: Draws, iteration: int, iterations: int) -> pb.SampleIndicesRequest:
        return pb.SampleIndicesRequest(
            curriculum=self.name,
            version=self.version,
            iteration=iteration,
            iterations=iterations,
            batch=draws.batch,
            rank=draws.rank,
            world_size=draws.world_size,
            seed=draws.seed,
            order=order_to_proto(draws.order),
            order_seed=draws.order_seed,
            window=draws.window,
            expected_samples=self.samples,
        )

"""The two samplers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sized
from dataclasses import replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from curriculum.client import Curriculum
from curriculum.indices import Draws
from curriculum.torch.position import Position, from_state, to_state
from curriculum.torch.prefetch import Prefetcher
from curriculum.torch.ranks import check_defaults, rank_and_world_size

U32 = NDArray[np.uint32]
Y = TypeVar("Y", int, list[int])

PREFETCH = 64
PATIENCE = 300.0


class _Sampler(Sampler[Y], Generic[Y]):
    """What the samplers share: the sequence, the position in it, and the state.

    Iterations are counted over all epochs: epoch e has iterations e x `iterations_per_epoch` and following. A new
    iterator begins where the sampler stands: at the start of the present epoch, or where `set_iteration` or
    `load_state_dict` put it. When it ends, the sampler stands at the start of the next epoch; one that is left before
    its end moves nothing, as with DistributedSampler.

    The position counts what the iterator yielded. Workers of a plain DataLoader take batches ahead of the training
    loop: then keep the state with torchdata's StatefulDataLoader, which accounts for that, or give the number of your
    step to `set_iteration`.
    """

    def __init__(
        self,
        curriculum: Curriculum,
        batch_size: int,
        *,
        dataset: Sized | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        seed: int = 0,
        order: str = "easy_first",
        order_seed: int = 0,
        iterations_per_epoch: int | None = None,
        window: int = 0,
        prefetch: int = PREFETCH,
        patience: float = PATIENCE,
    ) -> None:
        """Draws from the version of `curriculum` that is pinned now.

        `batch_size`: draws per iteration of this rank, 1 or more. `dataset`: its length must be the curriculum's.
        `rank`, `world_size`: default as torch.distributed, else RANK and WORLD_SIZE; an iterator is refused with
        RuntimeError if torch.distributed is initialised later and says something else. `seed`, `order`, `order_seed`,
        `window`: see `Curriculum.sample_indices`; the same on all ranks. `iterations_per_epoch`: default N / batch over
        all ranks, rounded up. `prefetch`: iterations that lie ready. `patience`: seconds for which a server that is
        away or hangs is waited for, before the training loop gets the error.

        Raises LengthMismatch, and ValueError naming the argument.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more: {batch_size}")
        if dataset is not None:
            curriculum.check_length(len(dataset))
        self._given_ranks = rank, world_size
        rank, world_size = rank_and_world_size(rank, world_size)
        self._source = curriculum.source()
        self._draws = Draws(batch_size * world_size, rank, world_size, seed, order, order_seed, window)
        if window * self._draws.batch > self.samples:
            raise ValueError(
                f"window {window} x batch {self._draws.batch} exceeds the {self.samples} samples, "
                "which are drawn without replacement"
            )
        if iterations_per_epoch is None:
            iterations_per_epoch = -(-self.samples // self._draws.batch)
        if iterations_per_epoch < 1 or prefetch < 1 or not patience >= 0:
            raise ValueError(
                f"iterations_per_epoch {iterations_per_epoch} and prefetch {prefetch} must be 1 or more, "
                f"patience {patience} 0 or more"
            )
        self._iterations_per_epoch = iterations_per_epoch
        self._prefetch = prefetch
        self._patience = patience
        self._start = self._position = Position(0, 0)
        self._turn = 0

    @property
    def batch_size(self) -> int:
        """Draws per iteration of this rank."""
        return self._draws.per_rank

    @property
    def rank(self) -> int:
        """Of this process."""
        return self._draws.rank

    @property
    def world_size(self) -> int:
        """Number of ranks."""
        return self._draws.world_size

    @property
    def samples(self) -> int:
        """Number of samples N."""
        return self._source.samples

    @property
    def version(self) -> str:
        """The version that is drawn from, 64 hexadecimal digits."""
        return self._source.version

    @property
    def iterations_per_epoch(self) -> int:
        """Iterations of an epoch."""
        return self._iterations_per_epoch

    @property
    def epoch(self) -> int:
        """The present epoch, from 0."""
        return self._position.epoch

    @property
    def iteration(self) -> int:
        """The iteration that the last iterator yields next."""
        return self._position.iteration

    def set_epoch(self, epoch: int) -> None:
        """Goes to the start of `epoch`; stays where it is if it is in that one, so that a resumed epoch goes on."""
        # State dictionaries have plain numbers, also where a training loop counts in tensors.
        epoch = int(epoch)
        if epoch < 0:
            raise ValueError(f"epoch must be 0 or more: {epoch}")
        if epoch != self._start.epoch:
            self._move(Position(epoch, epoch * self._iterations_per_epoch))

    def set_iteration(self, iteration: int) -> None:
        """Goes to `iteration`, counted over all epochs."""
        iteration = int(iteration)
        if iteration < 0:
            raise ValueError(f"iteration must be 0 or more: {iteration}")
        self._move(Position(iteration // self._iterations_per_epoch, iteration))

    def state_dict(self) -> dict[str, Any]:
        """What was yielded so far: some numbers and the version. It loads into any number of ranks with the same
        batch over all of them.
        """
        return to_state(self._position, self._source, self._draws, self._iterations_per_epoch)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on exactly where `state` was saved, with the version it was saved with.

        ValueError names what differs, if this sampler has another batch over all ranks, seed, order or window.
        """
        position = from_state(state, self._draws, self._iterations_per_epoch)
        self._source = replace(self._source, version=str(state["version"]))
        self._move(position)

    def _move(self, position: Position) -> None:
        self._start = self._position = position

    def _begin(self) -> tuple[_Turn, Prefetcher, int]:
        """A new iterator's right to move the sampler, its rows, and draws to leave out of the first."""
        check_defaults(*self._given_ranks, (self.rank, self.world_size))
        self._turn += 1
        self._position = start = self._start
        end = (start.epoch + 1) * self._iterations_per_epoch
        source, draws, patience = self._source, self._draws, self._patience

        def fetch(iteration: int, count: int, stop: threading.Event) -> U32:
            return source.patiently(draws, iteration, count, patience, stop)

        return _Turn(self, self._turn, start), Prefetcher(fetch, start.iteration, end, self._prefetch), start.offset


class _Turn:
    """Moves the sampler along with its newest iterator."""

    def __init__(self, sampler: _Sampler[Any], number: int, start: Position) -> None:
        self._sampler = sampler
        self._number = number
        self._epoch = start.epoch
        self._next_epoch = Position(start.epoch + 1, (start.epoch + 1) * sampler._iterations_per_epoch)

    def at(self, iteration: int, offset: int = 0) -> None:
        """The next draw. After an epoch's last, a new iterator begins with the next epoch: who knows the length does
        not ask for what comes after it.
        """
        if self._sampler._turn == self._number:
            self._sampler._position = Position(self._epoch, iteration, offset)
            if iteration == self._next_epoch.iteration:
                self._sampler._start = self._next_epoch

    def end(self) -> None:
        """Asked for more than the epoch has."""
        if self._sampler._turn == self._number and self._sampler._start.epoch in (self._epoch, self._next_epoch.epoch):
            self._sampler._move(self._next_epoch)


class CurriculumBatchSampler(_Sampler[list[int]]):
    """Batches of dataset indices, one per iteration, for `DataLoader(dataset, batch_sampler=...)`.

    Each batch is drawn with the weights of its own iteration, whatever a DataLoader takes ahead. Over all ranks, the
    draws of an iteration depend on version, seed and iteration alone.
    """

    # For what looks at a BatchSampler's attributes: every batch is full.
    drop_last = False

    @property
    def sampler(self) -> CurriculumBatchSampler:
        """Itself: Lightning calls `set_epoch` there."""
        return self

    def __iter__(self) -> Iterator[list[int]]:
        """Batches from where the sampler stands to the end of the epoch."""
        return _Batches(self)

    def __len__(self) -> int:
        """Iterations of an epoch."""
        return self._iterations_per_epoch


class CurriculumSampler(_Sampler[int]):
    """Dataset indices one by one, for `DataLoader(dataset, batch_size=..., sampler=...)` with the same batch size."""

    def __iter__(self) -> Iterator[int]:
        """Indices from where the sampler stands to the end of the epoch."""
        return _Indices(self)

    def __len__(self) -> int:
        """Draws of an epoch on this rank."""
        return self._iterations_per_epoch * self.batch_size


class _Batches(Iterator[list[int]]):
    """Iterator of CurriculumBatchSampler."""

    def __init__(self, sampler: CurriculumBatchSampler) -> None:
        self._turn, self._rows, self._skip = sampler._begin()
        self._iteration = sampler.iteration

    def __next__(self) -> list[int]:
        row = self._rows.take()
        if row is None:
            self._turn.end()
            raise StopIteration
        skip, self._skip = self._skip, 0
        self._iteration += 1
        self._turn.at(self._iteration)
        batch: list[int] = row[skip:].tolist()
        return batch


class _Indices(Iterator[int]):
    """Iterator of CurriculumSampler."""

    def __init__(self, sampler: CurriculumSampler) -> None:
        self._turn, self._rows, self._offset = sampler._begin()
        self._iteration = sampler.iteration
        self._row: list[int] = []

    def __next__(self) -> int:
        if not self._row:
            row = self._rows.take()
            if row is None:
                self._turn.end()
                raise StopIteration
            self._row = row.tolist()
        index = self._row[self._offset]
        self._offset += 1
        if self._offset == len(self._row):
            self._row, self._offset, self._iteration = [], 0, self._iteration + 1
        self._turn.at(self._iteration, self._offset)
        return index

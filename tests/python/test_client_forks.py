"""Clients and samplers that were used before a fork or spawn, in parent and child."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import pytest
import torch

from curriculum import Curriculum
from curriculum.torch import CurriculumBatchSampler
from curriculum.torch.prefetch import Prefetcher
from served import Published

FORK = multiprocessing.get_context("fork")


def in_child(work: Callable[[], None]) -> None:
    """Runs it in a forked child, which must end by itself, and soon."""
    child = FORK.Process(target=work)
    child.start()
    child.join(30)
    hung = child.is_alive()
    if hung:
        child.kill()
        child.join()
    assert not hung and child.exitcode == 0


def test_a_child_goes_on_with_its_parents_client(curriculum: Curriculum) -> None:
    before = curriculum.weights(5)

    def work() -> None:
        np.testing.assert_array_equal(curriculum.weights(5), before)
        np.testing.assert_allclose(curriculum.local().weights(5), before, rtol=1e-6)
        in_grandchild = FORK.Process(target=curriculum.schedule, args=([1],))
        in_grandchild.start()
        in_grandchild.join(30)
        assert in_grandchild.exitcode == 0

    for _ in range(3):
        in_child(work)
    np.testing.assert_array_equal(curriculum.weights(5), before)


def test_forks_amid_calls_of_other_threads(curriculum: Curriculum) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def busy() -> None:
        try:
            while not stop.is_set():
                curriculum.sample_indices(3, 512)
                curriculum.weights(3, encoding="u16", end=2000)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            in_child(lambda: np.testing.assert_equal(len(curriculum.sample_indices(3, 8, iterations=4)), 4))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures


def test_an_iterator_goes_on_in_both(curriculum: Curriculum) -> None:
    expected = curriculum.sample_indices(0, 50, iterations=40).tolist()
    iterator = iter(CurriculumBatchSampler(curriculum, 50, prefetch=8))
    assert list(islice(iterator, 10)) == expected[:10]

    def work() -> None:
        assert list(islice(iterator, 30)) == expected[10:]

    in_child(work)
    assert list(islice(iterator, 30)) == expected[10:]


def test_a_child_drops_an_iterator_whose_lock_its_parent_held() -> None:
    prefetcher = Prefetcher(lambda start, count, stop: np.zeros((count, 1), dtype=np.uint32), 0, 10, 4)
    prefetcher.take()
    assert prefetcher._buffer is not None
    changed = prefetcher._buffer.changed
    kept = [prefetcher]
    del prefetcher
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with changed:
            held.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        in_child(kept.clear)
    finally:
        over.set()
        thread.join()


class Weighted(torch.utils.data.Dataset[tuple[int, float]]):
    """Items whose worker asks the server."""

    def __init__(self, curriculum: Curriculum) -> None:
        self.curriculum = curriculum

    def __len__(self) -> int:
        return self.curriculum.samples

    def __getitem__(self, index: int) -> tuple[int, float]:
        return index, self.curriculum.schedule([index])[0].effective_fraction


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_of_a_loader_may_use_the_client(curriculum: Curriculum, persistent: bool) -> None:
    sampler = CurriculumBatchSampler(curriculum, 16, iterations_per_epoch=12)
    loader = torch.utils.data.DataLoader(
        Weighted(curriculum), batch_sampler=sampler, num_workers=2, persistent_workers=persistent
    )
    expected = curriculum.sample_indices(0, 16, iterations=24).tolist()
    fractions = {entry.iteration: entry.effective_fraction for entry in curriculum.schedule(range(5000))}
    taken = []
    for _ in range(2):
        for indices, fraction in loader:
            taken.append(indices.tolist())
            assert fraction.tolist() == [fractions[index] for index in taken[-1]]
    assert taken == expected


class Batches(torch.utils.data.IterableDataset[list[int]]):
    """What a sampler yields in the worker."""

    def __init__(self, sampler: CurriculumBatchSampler) -> None:
        self.sampler = sampler

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.sampler)


def test_spawned_workers_may_use_client_and_sampler(curriculum: Curriculum) -> None:
    curriculum.weights(5)
    sampler = CurriculumBatchSampler(curriculum, 16, iterations_per_epoch=5)
    sampler.set_iteration(2)
    expected = curriculum.sample_indices(2, 16, iterations=3).tolist()
    options = {"num_workers": 1, "multiprocessing_context": "spawn"}
    weighted = torch.utils.data.DataLoader(Weighted(curriculum), batch_sampler=sampler, **options)
    assert [indices.tolist() for indices, _ in weighted] == expected
    sampler.set_iteration(2)
    batches = torch.utils.data.DataLoader(Batches(sampler), batch_size=None, **options)
    assert [[int(index) for index in batch] for batch in batches] == expected
    copy = pickle.loads(pickle.dumps(curriculum))
    assert (copy.name, copy.version, copy.samples) == (curriculum.name, curriculum.version, curriculum.samples)
    assert copy.schedule([7]) == curriculum.schedule([7])
    copy.close()
    with pytest.raises(ValueError, match="closed"):
        pickle.loads(pickle.dumps(copy)).weights(0)
    # Another's connection closes none of ours.
    assert len(curriculum.weights(0)) == curriculum.samples


def test_workers_may_start_while_another_loader_runs(curriculum: Curriculum, published: Published) -> None:
    def rows(workers: int) -> Iterator[torch.Tensor]:
        sampler = CurriculumBatchSampler(curriculum, 16, iterations_per_epoch=30, prefetch=2)
        return iter(torch.utils.data.DataLoader(range(5000), batch_sampler=sampler, num_workers=workers))

    training = rows(1)
    expected = curriculum.sample_indices(0, 16, iterations=30).tolist()
    taken = [next(training).tolist() for _ in range(5)]
    for _ in range(3):
        taken.append(next(training).tolist())
        assert [row.tolist() for row in rows(1)] == expected
    assert taken + [row.tolist() for row in training] == expected

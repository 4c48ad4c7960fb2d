"""What the samplers yield, where they stand, and what a state brings back."""

from __future__ import annotations

import gc
import threading
import time
from itertools import chain, islice

import numpy as np
import pytest
import torch

from curriculum import Curriculum, errors
from curriculum.torch import CurriculumBatchSampler, CurriculumSampler
from served import Published

BATCH = 50
EPOCH = 100


def expected(curriculum: Curriculum, first: int, count: int, batch: int = BATCH, **draws: int) -> list[list[int]]:
    """The batches of one rank from the client's own call."""
    rows: list[list[int]] = curriculum.sample_indices(first, batch, iterations=count, **draws).tolist()
    return rows


def test_an_epoch_is_its_iterations(curriculum: Curriculum) -> None:
    sampler = CurriculumBatchSampler(curriculum, BATCH, dataset=range(5000), seed=1)
    assert len(sampler) == EPOCH and sampler.batch_size == BATCH
    assert list(sampler) == expected(curriculum, 0, EPOCH, seed=1)
    # The next epoch begins where this one ended.
    assert sampler.epoch == 1 and list(islice(sampler, 3)) == expected(curriculum, EPOCH, 3, seed=1)


def test_draws_favour_easy_samples_at_first_and_none_in_the_end(curriculum: Curriculum) -> None:
    difficulty = curriculum.difficulty()
    sampler = CurriculumBatchSampler(curriculum, 500, iterations_per_epoch=500)
    means = [float(difficulty[batch].mean()) for batch in sampler]
    assert means[0] < means[200] < np.mean(means[400:])
    assert np.mean(means[400:]) == pytest.approx(float(difficulty.mean()), abs=0.01)


def test_ranks_share_the_sequence(curriculum: Curriculum) -> None:
    ranks = [list(islice(CurriculumBatchSampler(curriculum, 10, rank=rank, world_size=5), 20)) for rank in range(5)]
    together = np.array(ranks).transpose(1, 2, 0).reshape(20, 50)
    assert together.tolist() == expected(curriculum, 0, 20)


def test_rank_and_world_size_come_from_the_environment(curriculum: Curriculum, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "5")
    sampler = CurriculumBatchSampler(curriculum, 10)
    assert (sampler.rank, sampler.world_size, len(sampler)) == (3, 5, EPOCH)
    monkeypatch.setenv("RANK", "five")
    with pytest.raises(ValueError, match="RANK='five'"):
        CurriculumBatchSampler(curriculum, 10)


def test_a_sampler_made_before_its_rank_was_known_is_refused(
    curriculum: Curriculum, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = CurriculumBatchSampler(curriculum, 10)
    single = CurriculumSampler(curriculum, 10, world_size=4)
    given = CurriculumBatchSampler(curriculum, 10, rank=0, world_size=1)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 3)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    for sampler, made in ((early, "rank 0 of 1"), (single, "rank 0 of 4")):
        with pytest.raises(RuntimeError, match=f"{made}.* rank 3 of 4"):
            iter(sampler)
    assert len(next(iter(given))) == len(next(iter(CurriculumBatchSampler(curriculum, 10)))) == 10


def test_single_indices_are_the_batches_in_a_row(curriculum: Curriculum) -> None:
    sampler = CurriculumSampler(curriculum, BATCH, iterations_per_epoch=4, seed=2)
    assert len(sampler) == 4 * BATCH
    assert list(sampler) == list(chain.from_iterable(expected(curriculum, 0, 4, seed=2)))
    loader = torch.utils.data.DataLoader(range(5000), batch_size=BATCH, sampler=sampler)
    assert [batch.tolist() for batch in loader] == expected(curriculum, 4, 4, seed=2)


def test_epochs_are_set_as_for_a_distributed_sampler(curriculum: Curriculum) -> None:
    sampler = CurriculumBatchSampler(curriculum, BATCH)
    sampler.set_epoch(2)
    assert next(iter(sampler)) == expected(curriculum, 2 * EPOCH, 1)[0]
    # Left in the middle, an epoch begins again.
    assert next(iter(sampler)) == expected(curriculum, 2 * EPOCH, 1)[0]
    sampler.set_iteration(2 * EPOCH + 97)
    # Setting the epoch that it is in does not move it: that is what a trainer does when it resumes.
    sampler.set_epoch(2)
    assert list(sampler) == expected(curriculum, 2 * EPOCH + 97, 3)
    sampler.set_epoch(0)
    assert next(iter(sampler)) == expected(curriculum, 0, 1)[0]


@pytest.mark.parametrize("taken", [0, 1, 37, EPOCH - 1, EPOCH])
def test_a_state_goes_on_exactly(curriculum: Curriculum, taken: int) -> None:
    sampler = CurriculumBatchSampler(curriculum, BATCH, seed=3)
    sampler.set_epoch(1)
    iterator = iter(sampler)
    for _ in range(taken):
        next(iterator)
    state = sampler.state_dict()
    del iterator
    assert sampler.state_dict() == state and state["iteration"] == EPOCH + taken
    resumed = CurriculumBatchSampler(curriculum, 10, rank=0, world_size=5, seed=3)
    resumed.load_state_dict(state)
    resumed.set_epoch(1)
    left = EPOCH - taken
    rows = expected(curriculum, EPOCH + taken, left, seed=3) if left else []
    assert list(resumed) == [row[::5] for row in rows]
    assert resumed.epoch == 2 and next(iter(resumed)) == expected(curriculum, 2 * EPOCH, 1, seed=3)[0][::5]


def test_a_state_has_plain_numbers(curriculum: Curriculum) -> None:
    sampler = CurriculumBatchSampler(curriculum, BATCH)
    for move, number in ((sampler.set_epoch, np.int64(3)), (sampler.set_iteration, torch.tensor(350))):
        move(number)
        state = sampler.state_dict()
        assert {type(value) for value in state.values()} == {int, str} and state["epoch"] == 3


def test_a_state_in_the_middle_of_a_batch(curriculum: Curriculum) -> None:
    sampler = CurriculumSampler(curriculum, BATCH, iterations_per_epoch=3)
    whole = list(sampler)
    sampler.set_epoch(0)
    iterator = iter(sampler)
    for _ in range(BATCH + 7):
        next(iterator)
    resumed = CurriculumSampler(curriculum, BATCH, iterations_per_epoch=3)
    resumed.load_state_dict(sampler.state_dict())
    assert list(resumed) == whole[BATCH + 7 :]


def test_a_state_of_another_sequence_is_refused(curriculum: Curriculum) -> None:
    state = CurriculumBatchSampler(curriculum, BATCH).state_dict()
    for other, field in (({"seed": 1}, "seed"), ({"order": "hard_first"}, "order"), ({"world_size": 2}, "batch")):
        sampler = CurriculumBatchSampler(curriculum, BATCH, rank=0, **other)
        with pytest.raises(ValueError, match=f"{field} was"):
            sampler.load_state_dict(state)


def test_a_state_brings_its_version_back(published: Published, curriculum: Curriculum) -> None:
    sampler = CurriculumBatchSampler(curriculum, BATCH)
    state = sampler.state_dict() | {"version": "0" * 64}
    sampler.load_state_dict(state)
    assert sampler.version == "0" * 64
    # A pinned version that was deleted is an error in the training loop, at once.
    with pytest.raises(errors.NotFound):
        next(iter(sampler))
    with pytest.raises(errors.NotFound):
        next(iter(sampler))


def test_a_dataset_of_another_length_is_refused(curriculum: Curriculum) -> None:
    for kind in (CurriculumBatchSampler, CurriculumSampler):
        with pytest.raises(errors.LengthMismatch, match=r"4,999 .*5,000"):
            kind(curriculum, BATCH, dataset=range(4999))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 8, "rank": 4, "world_size": 4}, "rank 4"),
        ({"batch_size": 8, "order": "random"}, "order 'random'"),
        ({"batch_size": 8, "iterations_per_epoch": 0}, "iterations_per_epoch 0"),
        ({"batch_size": 8, "prefetch": 0}, "prefetch 0"),
        ({"batch_size": 501, "window": 10}, r"window 10 x batch 501 exceeds the 5000"),
        ({"batch_size": 128, "world_size": 4, "window": 1 << 16}, r"window 65536 x batch 512 .* 2\^24 = 16777216"),
        ({"batch_size": 1, "world_size": 1, "window": (1 << 16) + 1}, r"window 65537 .* 2\^16 = 65536"),
        ({"batch_size": (1 << 19) + 1}, r"batch 524289 .* 2\^19 = 524288"),
        ({"batch_size": 1, "world_size": 1 << 32}, r"batch 4294967296 is not in 0 .. 2\^32 - 1"),
    ],
)
def test_bad_arguments_are_refused(curriculum: Curriculum, arguments: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        CurriculumBatchSampler(curriculum, **arguments)


def prefetch_threads() -> set[threading.Thread]:
    """Those that live."""
    return {thread for thread in threading.enumerate() if thread.name == "curriculum-prefetch"}


def test_the_thread_ends_with_its_iterator(curriculum: Curriculum) -> None:
    before = prefetch_threads()
    sampler = CurriculumBatchSampler(curriculum, BATCH, prefetch=4)
    iterator = iter(sampler)
    # Workers of a loader are forked before the first batch is asked for.
    assert prefetch_threads() <= before
    next(iterator)
    (thread,) = prefetch_threads() - before
    del iterator
    gc.collect()
    thread.join(60)
    assert not thread.is_alive()
    assert len(list(sampler)) == EPOCH


def test_prefetching_stays_within_its_bound(curriculum: Curriculum, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = CurriculumBatchSampler(curriculum, BATCH, prefetch=8)
    fetched: list[tuple[int, int]] = []
    original = type(sampler._source).fetch

    def fetch(self: object, draws: object, iteration: int, iterations: int, **how: object) -> object:
        fetched.append((iteration, iterations))
        return original(self, draws, iteration, iterations, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(type(sampler._source), "fetch", fetch)
    iterator = iter(sampler)
    for taken in range(1, 41):
        next(iterator)
        time.sleep(0.002)
        assert sum(count for _, count in fetched) <= taken + 8 + 1
    # The thread goes on.
    calls = fetched.copy()
    assert calls[0] == (0, 1) and max(count for _, count in calls) == 4
    assert [first for first, _ in calls] == [sum(count for _, count in calls[:n]) for n in range(len(calls))]


def test_frequencies_are_the_exact_probabilities(curriculum: Curriculum) -> None:
    """Through sampler, wire and server."""
    draws = {}
    for iteration in (60, 80):
        drawn = []
        for seed in range(4):
            sampler = CurriculumBatchSampler(curriculum, 1 << 17, seed=seed, iterations_per_epoch=100)
            sampler.set_iteration(iteration)
            drawn += next(iter(sampler))
        draws[iteration] = np.array(drawn)
    weights = curriculum.weights(60).astype(np.float64)
    assert abs(deviation(weights, draws[60])) < 4
    # The test would see draws that are off by 20 iterations of 400.
    assert deviation(weights, draws[80]) > 10


def deviation(weights: np.ndarray, draws: np.ndarray) -> float:
    """How many standard deviations chi-square lies above what the weights let expect.

    Samples are put together, by weight, into groups of about 50 expected draws. By Wilson and Hilferty the cube root
    of chi-square over its freedom is close to normal.
    """
    order = np.argsort(weights)
    groups = np.empty(len(weights), dtype=np.int64)
    groups[order] = np.floor(np.cumsum(weights[order]) / weights.sum() * len(draws) / 50.0001).astype(np.int64)
    expected_counts = np.bincount(groups, weights) * len(draws) / weights.sum()
    counts = np.bincount(groups[draws], minlength=len(expected_counts))
    kept = expected_counts > 5
    statistic = float((((counts - expected_counts) ** 2)[kept] / expected_counts[kept]).sum())
    freedom = int(kept.sum()) - 1
    assert freedom > 1000
    return ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5

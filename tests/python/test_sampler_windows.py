"""Draws without replacement, in windows of iterations."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from curriculum import Curriculum
from curriculum.torch import CurriculumBatchSampler

BATCH, EPOCH = 50, 100


def test_windows_hold_no_index_twice(curriculum: Curriculum) -> None:
    rows = curriculum.sample_indices(0, 500, iterations=20, window=10)
    for window in (rows[:10], rows[10:]):
        assert len(np.unique(window)) == curriculum.samples


def test_windows_draw_each_sample_once(curriculum: Curriculum) -> None:
    sampler = CurriculumBatchSampler(curriculum, BATCH, window=EPOCH)
    assert sorted(chain.from_iterable(sampler)) == list(range(5000))


def test_a_window_goes_on_in_its_middle_with_other_ranks(curriculum: Curriculum) -> None:
    whole = list(CurriculumBatchSampler(curriculum, BATCH, window=30, seed=5))
    rest = []
    for rank in range(5):
        sampler = CurriculumBatchSampler(curriculum, 10, rank=rank, world_size=5, window=30, seed=5)
        sampler.set_iteration(47)
        rest.append(list(sampler))
    assert np.array(rest).transpose(1, 2, 0).reshape(-1, BATCH).tolist() == whole[47:]


def test_windows_that_do_not_fit_are_refused(curriculum: Curriculum) -> None:
    with pytest.raises(ValueError, match="window"):
        curriculum.sample_indices(0, 600, window=10)

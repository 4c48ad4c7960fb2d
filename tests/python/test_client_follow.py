"""Clients that keep to a version, and clients that follow their curriculum's name through refits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from binary import Binary
from curriculum import Curriculum, errors
from curriculum.torch import CurriculumBatchSampler
from served import ServerProcess, publish

SAMPLES = 300
BATCH = 20


@pytest.fixture
def server(binary: Binary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    monkeypatch.setenv("CURRICULUM_CACHE", str(tmp_path / "cache"))
    running = ServerProcess(binary.path, tmp_path)
    publish(running.address, "moving", SAMPLES)
    yield running
    running.stop()


def test_a_client_is_pinned_unless_it_follows(server: ServerProcess) -> None:
    pinned = Curriculum.connect(server.address, "moving@latest")
    # The only one needs no name.
    following = Curriculum.connect(server.address, follow=True)
    before, indices, entry = pinned.weights(0), pinned.sample_indices(0, BATCH), pinned.schedule([0])
    second = publish(server.address, "moving", SAMPLES, clusters=3)
    assert pinned.version != second and Curriculum.connect(server.address, "moving").version == second
    np.testing.assert_array_equal(pinned.weights(0), before)
    np.testing.assert_array_equal(pinned.sample_indices(0, BATCH), indices)
    assert not np.array_equal(following.weights(0), before)
    assert not np.array_equal(following.sample_indices(0, BATCH), indices)
    assert following.schedule([0]) != entry == pinned.schedule([0])
    np.testing.assert_array_equal(following.at(pinned.version).weights(0), before)


@pytest.mark.parametrize("samples", [200, 400])
def test_a_refit_of_another_length_is_refused_with_both_numbers(server: ServerProcess, samples: int) -> None:
    following = Curriculum.connect(server.address, "moving", follow=True)
    difficulty = following.difficulty()
    second = publish(server.address, "moving", samples, seed=1)
    both = f"{samples} samples in version {second[:12]}, but had {SAMPLES} in version {following.version[:12]}"
    for call in (
        lambda: following.weights(0),
        lambda: following.weights(0, encoding="u16", start=250),
        lambda: following.sample_indices(0, BATCH),
    ):
        for _ in range(2):
            with pytest.raises(errors.LengthMismatch, match=both):
                call()
    # What keeps to the version goes on; what has no length follows.
    np.testing.assert_array_equal(following.difficulty(), difficulty)
    assert len(following.local().weights(0)) == SAMPLES
    assert following.schedule([0]) == Curriculum.connect(server.address, "moving").schedule([0])
    assert len(Curriculum.connect(server.address, "moving", follow=True).weights(0)) == samples


def test_other_refusals_stay_what_they_are(server: ServerProcess) -> None:
    following = Curriculum.connect(server.address, "moving", follow=True)
    with pytest.raises(errors.InvalidArgument, match="range"):
        following.weights(0, end=SAMPLES + 1)


@pytest.mark.parametrize("samples", [200, 400])
def test_a_sampler_never_follows(server: ServerProcess, samples: int) -> None:
    following = Curriculum.connect(server.address, "moving", follow=True)
    expected = following.sample_indices(0, BATCH, iterations=15).tolist()
    batches = iter(CurriculumBatchSampler(following, BATCH, dataset=range(SAMPLES), prefetch=1))
    taken = [next(batches)]
    publish(server.address, "moving", samples, seed=1)
    assert taken + list(batches) == expected
    again = CurriculumBatchSampler(following, BATCH, dataset=range(SAMPLES))
    assert again.version == following.version and list(again) == expected
    # The dataset of the refit is another.
    with pytest.raises(errors.LengthMismatch, match=f"{samples} samples.* has {SAMPLES}"):
        CurriculumBatchSampler(following, BATCH, dataset=range(samples))
    newer = Curriculum.connect(server.address, "moving")
    assert len(list(CurriculumBatchSampler(newer, BATCH, dataset=range(samples)))) == samples // BATCH

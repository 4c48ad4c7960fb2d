"""A version that goes away under who pinned it: deleted by hand, or by retention after a refit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from binary import Binary
from curriculum import Curriculum, errors
from curriculum.torch import CurriculumBatchSampler
from served import ServerProcess, publish

SAMPLES = 500
BATCH = 20

# Publishes another version of `clouds` and takes the one before it away.
Refit = Callable[[], None]


def by_hand(binary: Binary, server: ServerProcess) -> None:
    old = Curriculum.connect(server.address, "clouds").version
    publish(server.address, "clouds", SAMPLES, clusters=3)
    url = f"http://{server.address}"
    done = binary.run("versions", "delete", "clouds", old, "--server", url)
    assert done.returncode == 0 and "is deleted" in done.stdout, done.stderr


def by_retention(_binary: Binary, server: ServerProcess) -> None:
    publish(server.address, "clouds", SAMPLES, clusters=3)


@pytest.fixture(params=[by_hand, by_retention])
def case(
    request: pytest.FixtureRequest, binary: Binary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ServerProcess, Refit]]:
    monkeypatch.setenv("CURRICULUM_CACHE", str(tmp_path / "cache"))
    if request.param is by_retention:
        monkeypatch.setenv("CURRICULUM__STORAGE__KEEP_VERSIONS", "1")
    server = ServerProcess(binary.path, tmp_path)
    publish(server.address, "clouds", SAMPLES)
    yield server, lambda: request.param(binary, server)
    server.stop()


def prefetching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "curriculum-prefetch"]


def test_every_call_names_the_curriculum_and_the_version(case: tuple[ServerProcess, Refit]) -> None:
    server, refit = case
    pinned = Curriculum.connect(server.address, "clouds")
    local, following = pinned.local(), Curriculum.connect(server.address, "clouds", follow=True)
    pinned.weights(0)
    refit()
    gone = f"curriculum `clouds` has no version `{pinned.version}`"
    for call in (
        lambda: pinned.weights(0),
        lambda: pinned.schedule([0]),
        lambda: pinned.sample_indices(0, BATCH),
        lambda: pinned.difficulty("reversed"),
        lambda: local.weights(0),
        lambda: Curriculum.connect(server.address, "clouds", pinned.version),
    ):
        started = time.monotonic()
        with pytest.raises(errors.NotFound, match=gone):
            call()
        # Not tried again: retries go on for a minute.
        assert time.monotonic() - started < 20
    # What was fetched is not lost, and who did not pin it goes on.
    assert len(pinned.difficulty()) == SAMPLES
    assert Curriculum.connect(server.address, "clouds").version != pinned.version
    assert len(following.weights(0)) == SAMPLES


@pytest.mark.parametrize("workers", [0, 1])
def test_the_training_loop_gets_the_error_and_ends(case: tuple[ServerProcess, Refit], workers: int) -> None:
    server, refit = case
    curriculum = Curriculum.connect(server.address, "clouds")
    sampler = CurriculumBatchSampler(curriculum, BATCH, prefetch=2, iterations_per_epoch=10_000)
    loader = torch.utils.data.DataLoader(range(SAMPLES), batch_sampler=sampler, num_workers=workers)
    batches = iter(loader)
    next(batches)
    refit()
    started = time.monotonic()
    # Its patience, five minutes, is for servers that are away.
    with pytest.raises(errors.NotFound, match=f"curriculum `clouds` has no version `{curriculum.version}`"):
        for _ in range(20):
            next(batches)
    assert time.monotonic() - started < 60
    del batches
    while prefetching():
        assert time.monotonic() - started < 60
        time.sleep(0.02)


def test_a_checkpoint_of_it_is_refused_when_it_goes_on(case: tuple[ServerProcess, Refit]) -> None:
    server, refit = case
    sampler = CurriculumBatchSampler(Curriculum.connect(server.address, "clouds"), BATCH)
    next(iter(sampler))
    state = sampler.state_dict()
    refit()
    newer = CurriculumBatchSampler(Curriculum.connect(server.address, "clouds"), BATCH)
    newer.load_state_dict(state)
    with pytest.raises(errors.NotFound, match=f"curriculum `clouds` has no version `{sampler.version}`"):
        next(iter(newer))

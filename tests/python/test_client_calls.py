"""What a real server answers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from binary import Binary
from curriculum import Curriculum, errors
from curriculum.indices import Draws
from served import Published, ServerProcess, publish


def test_weights_sum_to_one_and_follow_the_difficulties(curriculum: Curriculum) -> None:
    weights, difficulty = curriculum.weights(0), curriculum.difficulty()
    assert weights.shape == difficulty.shape == (curriculum.samples,) and weights.dtype == np.float32
    assert weights.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    assert np.argsort(-weights, kind="stable").tolist() == np.argsort(difficulty, kind="stable").tolist()
    np.testing.assert_allclose(curriculum.weights(400), 1 / curriculum.samples, rtol=1e-6)


@pytest.mark.parametrize("iteration", [0, 137, 399, 400, 10_000])
@pytest.mark.parametrize("order", ["easy_first", "hard_first", "reversed", "shuffled"])
def test_local_weights_equal_the_servers(curriculum: Curriculum, iteration: int, order: str) -> None:
    local = curriculum.local(order, order_seed=5)
    remote = curriculum.weights(iteration, order, order_seed=5)
    np.testing.assert_allclose(local.weights(iteration), remote, rtol=1e-6, atol=0)


@pytest.mark.parametrize("encoding", ["f16", "u16"])
def test_encodings_keep_their_stated_error(curriculum: Curriculum, encoding: str) -> None:
    exact, got = curriculum.weights(50), curriculum.weights(50, encoding=encoding)
    # f16 has 11 significant bits; u16 covers e^-104 in 65,535 steps.
    bound = 2**-11 if encoding == "f16" else math.expm1(104 / 65535 / 2)
    large = exact > exact.max() * 2**-14
    np.testing.assert_allclose(got[large], exact[large], rtol=bound + 1e-6)
    assert large.sum() > 100 and not np.array_equal(got, exact)


def test_parts_of_the_weights_are_parts(curriculum: Curriculum) -> None:
    whole = curriculum.weights(9)
    np.testing.assert_array_equal(curriculum.weights(9, start=100, end=2300), whole[100:2300])
    np.testing.assert_array_equal(curriculum.weights(9, start=4990), whole[4990:])


def test_weights_that_did_not_change_are_not_sent_again(curriculum: Curriculum) -> None:
    first = curriculum.weights(500)
    assert curriculum.weights(501) is first
    assert curriculum.weights(3) is not first
    assert not first.flags.writeable


def test_a_schedule_of_many_iterations(curriculum: Curriculum) -> None:
    entries = curriculum.schedule(range(12_000))
    assert [entry.iteration for entry in entries] == list(range(12_000))
    assert entries[0].effective_fraction == pytest.approx(0.3) and entries[0].phase == "warmup"
    assert entries[400].status == "uniform" and math.isinf(entries[400].temperature)


def test_indices_are_what_ranks_share(curriculum: Curriculum) -> None:
    whole = curriculum.sample_indices(7, 24, seed=3, iterations=5)
    assert whole.shape == (5, 24) and whole.max() < curriculum.samples
    for world_size in (2, 3, 8):
        ranks = [curriculum.sample_indices(7, 24, rank, world_size, 3, 5) for rank in range(world_size)]
        np.testing.assert_array_equal(np.stack(ranks, axis=2).reshape(5, 24), whole)
    np.testing.assert_array_equal(curriculum.sample_indices(9, 24, seed=3), whole[2:3])
    assert not np.array_equal(curriculum.sample_indices(7, 24, seed=4, iterations=5), whole)


def test_many_indices_come_in_several_calls(curriculum: Curriculum) -> None:
    rows = curriculum.sample_indices(0, 4096, iterations=300)
    np.testing.assert_array_equal(rows[200:203], curriculum.sample_indices(200, 4096, iterations=3))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"batch": 0}, "batch"),
        ({"batch": 8, "rank": 2, "world_size": 2}, "rank"),
        ({"batch": 9, "world_size": 2}, "world_size"),
        ({"batch": 8, "iterations": 0}, "iterations"),
        ({"batch": 8, "order": "random"}, "order"),
        ({"batch": 8, "seed": -1}, "seed"),
        ({"batch": 8, "world_size": 8, "rank": 1 << 32}, "rank 4294967296"),
        ({"batch": 1 << 32, "world_size": 1 << 32}, "batch 4294967296"),
        ({"batch": 8, "window": 1 << 32}, "window 4294967296"),
    ],
)
def test_bad_draws_are_refused(curriculum: Curriculum, arguments: dict[str, int], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        curriculum.sample_indices(0, **arguments)


@pytest.mark.parametrize("arguments", [{"order_seed": -1}, {"start": -1}, {"end": 1 << 64}])
def test_numbers_that_fit_no_field_are_named(curriculum: Curriculum, arguments: dict[str, int]) -> None:
    ((field, number),) = arguments.items()
    with pytest.raises(ValueError, match=f"{field} {number} is not in 0"):
        curriculum.weights(0, **arguments)
    if field == "order_seed":
        with pytest.raises(ValueError, match="order_seed -1"):
            curriculum.difficulty("shuffled", -1)


def test_what_is_not_there_is_named(published: Published, curriculum: Curriculum) -> None:
    with pytest.raises(errors.NotFound, match="nothing"):
        Curriculum.connect(published.address, "nothing")
    with pytest.raises(errors.NotFound):
        Curriculum.connect(published.address, "clouds", "0" * 64)
    gone = replace(curriculum.source(), version="0" * 64)
    with pytest.raises(errors.NotFound):
        gone.fetch(Draws(8), 0, 1)
    with pytest.raises(ValueError, match="iteration"):
        curriculum.weights(-1)
    with pytest.raises(ValueError, match="encoding"):
        curriculum.weights(0, encoding="f64")


def test_the_only_curriculum_needs_no_name(binary: Binary, tmp_path: Path) -> None:
    server = ServerProcess(binary.path, tmp_path)
    try:
        with pytest.raises(errors.NotFound, match="it has none"):
            Curriculum.connect(server.address)
        publish(server.address, "one", 100)
        assert Curriculum.connect(server.address).name == "one"
        publish(server.address, "two", 100)
        with pytest.raises(errors.NotFound, match="one of one, two"):
            Curriculum.connect(server.address)
    finally:
        server.stop()

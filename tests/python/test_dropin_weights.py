"""Weights of the drop-in at an iteration, from difficulties: beside the original's, and beyond what it could do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from curriculum_learning import CurriculumLearning, FeatureExtractor
from dropin import GOLDEN, WARMUP, with_difficulties

STRATEGIES = ("difficulty", "easy")
ITERATIONS = (0, 100, 500, 900, 999)


@pytest.fixture(scope="module")
def golden() -> CurriculumLearning:
    return with_difficulties(
        GOLDEN["difficulty_unsupervised"], initial_effective_percentage=0.2, warmup_iterations=WARMUP
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("iteration", ITERATIONS)
def test_weights_and_temperatures_are_the_originals(golden: CurriculumLearning, strategy: str, iteration: int) -> None:
    share = 0.2 + (CurriculumLearning.THEORETICAL_MAX_EFFECTIVE_RATIO - 0.2) * iteration / WARMUP
    # The search takes the same steps.
    assert golden._compute_temperature(share, strategy) == GOLDEN[f"tau_{strategy}_{iteration}"]
    weights = golden.get_curriculum_weights(strategy, iteration)
    assert weights.dtype == np.float32 and weights.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-6)
    # The original's come from f32.
    np.testing.assert_allclose(weights, GOLDEN[f"weights_{strategy}_{iteration}"], rtol=1e-5)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_weights_are_ones_once_warm_up_ends(golden: CurriculumLearning, strategy: str) -> None:
    for weights in (
        golden.get_curriculum_weights(strategy, WARMUP),
        golden.get_curriculum_weights(strategy, 10**9),
        golden.get_curriculum_weights(strategy, 20, warmup_iterations=20),
        golden.get_curriculum_weights(strategy, 0, warmup_iterations=0),
    ):
        assert weights.dtype == np.float64
        np.testing.assert_array_equal(weights, GOLDEN[f"weights_{strategy}_{WARMUP}"])


def test_a_warm_up_given_to_the_call_counts_instead(golden: CurriculumLearning) -> None:
    expected = GOLDEN["weights_difficulty_500"]
    np.testing.assert_allclose(golden.get_curriculum_weights("difficulty", 50, 100), expected, rtol=1e-5)
    np.testing.assert_array_equal(
        golden.get_curriculum_weights(current_iteration=500), golden.get_curriculum_weights("difficulty", 500, 1000)
    )


def test_difficulty_favours_easy_samples_and_easy_hard_ones() -> None:
    curriculum = with_difficulties(np.linspace(0, 1, 100, dtype=np.float32))
    assert np.all(np.diff(curriculum.get_curriculum_weights("difficulty", 0)) < 0)
    assert np.all(np.diff(curriculum.get_curriculum_weights("easy", 0)) > 0)


@pytest.mark.parametrize("strategy", ["hard", "easy_first", "", None])
@pytest.mark.parametrize("iteration", [0, WARMUP])
def test_another_strategy_is_refused_at_any_iteration(
    golden: CurriculumLearning, strategy: str, iteration: int
) -> None:
    with pytest.raises(ValueError, match="unknown strategy"):
        golden.get_curriculum_weights(strategy, iteration)


def test_shares_that_no_temperature_reaches_give_the_bounds() -> None:
    # Half of the samples are prototypes: no temperature draws fewer than that half's share of distinct ones.
    curriculum = with_difficulties(np.repeat(np.float32([0, 1]), 500), max_effective_ratio=1.0)
    assert curriculum._compute_temperature(0.1) == pytest.approx(CurriculumLearning.MIN_TEMPERATURE, rel=1e-6)
    assert curriculum._compute_temperature(1.0) == pytest.approx(CurriculumLearning.MAX_TEMPERATURE, rel=1e-6)


def test_no_temperature_is_above_that_of_the_largest_share(golden: CurriculumLearning) -> None:
    largest = golden._compute_max_temperature()
    assert largest == golden._compute_temperature(golden.max_effective_ratio) == golden._compute_temperature(0.9)
    assert largest > golden._compute_temperature(0.5) > golden._compute_temperature(0.3)
    early = with_difficulties(golden.weights_, max_effective_ratio=0.5)
    for strategy in STRATEGIES:
        assert early._compute_max_temperature(strategy) == golden._compute_temperature(0.5, strategy)
    # The least there is, as for a share of nothing.
    assert golden._compute_temperature(-1.0) == golden._compute_temperature(0.0)


def test_the_effective_size_is_the_expected_share_of_distinct_samples() -> None:
    difficulty = np.float32([0.0, 0.2, 0.2, 0.7, 1.0])
    curriculum = with_difficulties(difficulty)
    for strategy, sign in (("difficulty", -1), ("easy", 1)):
        mass = np.exp(sign * difficulty.astype(float) / 0.3)
        expected = sum(1 - (1 - p) ** 5 for p in mass / mass.sum()) / 5
        assert curriculum._compute_effective_dataset_size(difficulty, 0.3, strategy) == pytest.approx(expected)
    # One sample takes all.
    assert curriculum._compute_effective_dataset_size(difficulty, 1e-6) == pytest.approx(1 / 5)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("iteration", ITERATIONS)
def test_the_share_at_the_originals_temperature_is_what_it_looked_for(
    golden: CurriculumLearning, strategy: str, iteration: int
) -> None:
    share = 0.2 + (golden.max_effective_ratio - 0.2) * iteration / WARMUP
    temperature = GOLDEN[f"tau_{strategy}_{iteration}"]
    found = golden._compute_effective_dataset_size(golden.weights_, float(temperature), strategy)
    # Where its search ends.
    assert found == pytest.approx(share, abs=1.01e-4)


# In f32 the public code is off by 0.003 here, and its search settles for another temperature.
@pytest.mark.parametrize("samples", [1_281_167])
def test_the_share_is_right_for_many_samples(samples: int) -> None:
    difficulty = np.random.default_rng(5).random(samples, dtype=np.float32)
    curriculum = with_difficulties(difficulty)
    # Closed form for evenly spread difficulties (method.md's oracle): tau of a share.
    for share, temperature in ((0.15, 0.0394), (0.30, 0.1065), (0.50, 0.2808)):
        found = curriculum._compute_temperature(share)
        assert found == pytest.approx(temperature, rel=0.01)
        reached = curriculum._compute_effective_dataset_size(difficulty, found, "difficulty")
        assert reached == pytest.approx(share, abs=1.1e-4)
    uniform = curriculum._compute_effective_dataset_size(np.zeros(samples), 1.0, "difficulty")
    assert uniform == pytest.approx(1 - math.exp(-1), abs=1e-6)


class Unused(FeatureExtractor):
    def extract_features(self, data_loader: object, device: object) -> None:
        raise AssertionError


def test_nothing_is_there_before_fit() -> None:
    curriculum = CurriculumLearning(Unused())
    for call in (
        curriculum.get_difficulty_weights,
        curriculum.get_curriculum_weights,
        lambda: curriculum._compute_temperature(0.3),
        lambda: curriculum.save_weights("never.npz"),
    ):
        with pytest.raises(ValueError, match="call fit"):
            call()


@pytest.mark.parametrize(
    "argument",
    [
        {"initial_effective_percentage": 0.09},
        {"initial_effective_percentage": 1.01},
        {"initial_effective_percentage": math.nan},
        {"max_effective_ratio": 0.0},
        {"max_effective_ratio": 1.1},
        {"warmup_iterations": -1},
    ],
)
def test_numbers_out_of_range_are_refused(argument: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(argument))):
        CurriculumLearning(Unused(), **argument)


def test_defaults_are_the_originals() -> None:
    curriculum = CurriculumLearning(Unused())
    assert (curriculum.initial_effective_percentage, curriculum.warmup_iterations) == (0.3, 1000)
    assert curriculum.max_effective_ratio == 1 - math.exp(-1)
    assert (curriculum.batch_size, curriculum.random_state, curriculum.cluster_range) == (256, 42, (2, 20))
    edge = CurriculumLearning(Unused(), initial_effective_percentage=0.1, max_effective_ratio=1, warmup_iterations=0)
    assert edge.max_effective_ratio == 1


def test_the_difficulties_are_a_copy() -> None:
    curriculum = with_difficulties(np.float32([0.0, 0.5, 1.0]))
    curriculum.get_difficulty_weights()[:] = 7
    np.testing.assert_array_equal(curriculum.weights_, [0.0, 0.5, 1.0])

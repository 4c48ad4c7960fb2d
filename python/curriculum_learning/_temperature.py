"""Probabilities at a temperature, and the temperature that a target asks for.

All in f64. The search halves an interval as the original's does, and stops where it stopped, so that it finds the
same temperatures.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MIN_TEMPERATURE = 1e-6
MAX_TEMPERATURE = 10.0
# Share of distinct samples in N draws from N uniform ones, as N grows.
UNIFORM_RATIO = 1.0 - math.exp(-1.0)

# The search ends when the effective share is this close to the target.
TOLERANCE = 1e-4
HALVINGS = 100

# Sign of difficulty / temperature in the exponent, by the original's names.
SIGNS = {"difficulty": -1.0, "easy": 1.0}

# From this many samples on, the search looks at bins of difficulties where they are fine enough.
BINNED_SAMPLES = 20_000
BINS = 4096
# A bin is fine enough when it is this small beside the temperature: the effective share is right to 1e-8.
FINE = 0.05


def sign_of(strategy: str) -> float:
    """The sign of `strategy`; ValueError for any other name."""
    if strategy not in SIGNS:
        raise ValueError(f"unknown strategy {strategy!r}: 'difficulty' (easy first) or 'easy' (hard first)")
    return SIGNS[strategy]


def probabilities(difficulty: Array, temperature: float, sign: float) -> Array:
    """exp(sign * d / temperature) over the samples' (N,) difficulties, of sum one."""
    exponent = difficulty * (sign / temperature)
    exponent -= exponent.max()
    np.exp(exponent, out=exponent)
    exponent /= exponent.sum()
    return exponent


def effective_size(difficulty: Array, temperature: float, sign: float, counts: Array | None = None) -> float:
    """Expected number of distinct samples in N draws, N the number of samples.

    With `counts`, `difficulty[i]` stands for `counts[i]` samples.
    """
    counts = np.ones(len(difficulty)) if counts is None else counts
    exponent = difficulty * (sign / temperature)
    mass = np.exp(exponent - exponent.max())
    share = np.minimum(mass / (mass @ counts), 1.0)
    with np.errstate(divide="ignore"):  # log of 0 where one sample takes all
        return float(-np.expm1(counts.sum() * np.log1p(-share)) @ counts)


def temperature_for(difficulty: Array, ratio: float, sign: float) -> float:
    """The temperature at which `ratio` of the samples is expected among N draws.

    MIN_TEMPERATURE for a ratio below what any temperature reaches, MAX_TEMPERATURE for one above.
    """
    samples = len(difficulty)
    span = float(np.ptp(difficulty))
    bins = _Bins(difficulty, span) if samples >= BINNED_SAMPLES and span > 0 else None
    low, high = MIN_TEMPERATURE, MAX_TEMPERATURE
    middle = high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if bins is not None and span / BINS <= FINE * middle:
            reached = effective_size(bins.nodes, middle, sign, bins.counts) / samples
        else:
            reached = effective_size(difficulty, middle, sign) / samples
        if abs(reached - ratio) < TOLERANCE:
            break
        if reached < ratio:
            low = middle
        else:
            high = middle
    return middle


class _Bins:
    """Difficulties in equal bins, each replaced by two nodes of its count, mean and variance."""

    def __init__(self, difficulty: Array, span: float) -> None:
        least = difficulty.min()
        place = np.minimum((difficulty - least) * (BINS / span), BINS - 1).astype(np.intp)
        counts = np.bincount(place, minlength=BINS)
        filled = counts > 0
        counts = counts[filled]
        middle = least + (np.arange(BINS) + 0.5) * (span / BINS)
        # From the bin's middle: no digits are lost in the variance.
        offset = difficulty - middle[place]
        mean = np.bincount(place, offset, BINS)[filled] / counts
        square = np.bincount(place, offset * offset, BINS)[filled] / counts
        deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
        mean += middle[filled]
        self.nodes = np.concatenate([mean - deviation, mean + deviation])
        self.counts = np.concatenate([counts, counts]) / 2.0

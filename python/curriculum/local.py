"""Weights computed in the client: difficulties once, then some bytes per iteration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# Values per step: intermediate f64 arrays stay in the processor's cache, and memory small at 1e8 samples.
BLOCK = 1 << 17


class Entry(Protocol):
    """What is needed of a ScheduleEntry."""

    @property
    def temperature(self) -> float:
        """Above 0; infinite where weights are uniform."""
        ...


class LocalCurriculum:
    """One version and one order of it: `weights` asks the server only for the temperature.

    Weights equal those of `Curriculum.weights` within a relative 1e-6.
    """

    def __init__(self, difficulty: F32, sign: int, schedule: Callable[[int], Entry]) -> None:
        """`sign` is -1 where low difficulties weigh more, +1 where high ones do."""
        self._difficulty = difficulty
        self._sign = sign
        self._schedule = schedule

    @property
    def samples(self) -> int:
        """Number of samples N."""
        return len(self._difficulty)

    def weights(self, iteration: int) -> F32:
        """The sampler weights at `iteration`: f32 (N,), summing to one."""
        return weights(self._difficulty, self._sign, self._schedule(iteration).temperature)


def weights(difficulty: F32, sign: int, temperature: float) -> F32:
    """exp(sign x difficulty / temperature), divided by its sum: f32 (N,)."""
    samples = len(difficulty)
    if math.isinf(temperature):
        return np.full(samples, 1.0 / samples, dtype=np.float32)
    exponent = np.empty(min(BLOCK, samples), dtype=np.float64)
    # The largest weight belongs to the difficulty at this end, and becomes 1: nothing overflows.
    largest = float(difficulty.max() if sign > 0 else difficulty.min())
    out = np.empty(samples, dtype=np.float32)
    total = 0.0
    for start in range(0, samples, BLOCK):
        part = difficulty[start : start + BLOCK]
        block = exponent[: len(part)]
        np.subtract(part, largest, out=block, dtype=np.float64)
        np.multiply(block, sign / temperature, out=block)
        np.exp(block, out=block)
        total += float(block.sum())
        out[start : start + len(part)] = block
    np.multiply(out, np.float64(1.0 / total), out=out, casting="same_kind")
    return out

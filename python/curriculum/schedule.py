"""Orders and schedule entries, as Python has them."""

from __future__ import annotations

from dataclasses import dataclass

from curriculum.v1 import curriculum_pb2 as pb
from curriculum.v1 import types_pb2 as types

MAX_ITERATION = 1 << 53

ORDERS = {
    "easy_first": types.ORDER_EASY_FIRST,
    "hard_first": types.ORDER_HARD_FIRST,
    "reversed": types.ORDER_REVERSED,
    "shuffled": types.ORDER_SHUFFLED,
}


@dataclass(frozen=True)
class ScheduleEntry:
    """What is known about one iteration before any weight is computed."""

    iteration: int
    temperature: float
    """Above 0; infinite where weights are uniform."""
    effective_fraction: float
    """Expected share of distinct samples among the schedule's draws, in (0, 1]."""
    target: float
    """What the pacing asked for."""
    phase: str
    """warmup, or uniform from warmup_iterations on."""
    status: str
    """What the solver found: ok, floor, ceiling, uniform or clamped."""


def from_proto(entry: pb.ScheduleEntry) -> ScheduleEntry:
    """An entry off the wire."""
    return ScheduleEntry(
        iteration=entry.iteration,
        temperature=entry.temperature,
        effective_fraction=entry.effective_fraction,
        target=entry.target,
        phase=_word(pb.Phase.Name(entry.phase), "PHASE_"),
        status=_word(pb.SolverStatus.Name(entry.status), "SOLVER_STATUS_"),
    )


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def order_to_proto(order: str) -> types.Order:
    """ValueError lists the orders there are."""
    if order not in ORDERS:
        raise ValueError(f"order {order!r} is none of {', '.join(ORDERS)}")
    return ORDERS[order]


def check_iteration(iteration: int) -> int:
    """The iteration, if it lies in 0 .. 2^53."""
    if not 0 <= iteration <= MAX_ITERATION:
        raise ValueError(f"iteration {iteration} is not in 0 .. 2^53")
    return iteration


def check_range(name: str, number: int, bits: int) -> int:
    """The number, if it fits a field of so many bits without sign."""
    if not 0 <= number < 1 << bits:
        raise ValueError(f"{name} {number} is not in 0 .. 2^{bits} - 1")
    return number

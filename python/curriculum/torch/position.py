"""Where a sampler is, and what of it goes into a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curriculum.indices import Draws, Source


@dataclass(frozen=True)
class Position:
    """The next draw: `offset` of `iteration`, in `epoch`. An epoch that is over has the next one's first iteration."""

    epoch: int
    iteration: int
    offset: int = 0


def to_state(position: Position, source: Source, draws: Draws, iterations_per_epoch: int) -> dict[str, Any]:
    """Plain numbers and strings. Nothing in it depends on the number of ranks."""
    return {
        "version": source.version,
        "epoch": position.epoch,
        "iteration": position.iteration,
        "offset": position.offset,
        "iterations_per_epoch": iterations_per_epoch,
        "batch": draws.batch,
        **_choices(draws),
    }


def from_state(state: dict[str, Any], draws: Draws, iterations_per_epoch: int) -> Position:
    """The position. ValueError, naming the field, where the sampler was made for another sequence."""
    own = {"batch": draws.batch, **_choices(draws)}
    for name, value in own.items():
        if state[name] != value:
            raise ValueError(
                f"{name} was {state[name]} when the state was saved and is {value} now: the sequence would be another "
                "(set_iteration goes on at an iteration all the same)"
            )
    epoch, iteration = int(state["epoch"]), int(state["iteration"])
    if state["iterations_per_epoch"] != iterations_per_epoch:
        epoch = iteration // iterations_per_epoch
    return Position(epoch, iteration, int(state["offset"]))


def _choices(draws: Draws) -> dict[str, Any]:
    return {"seed": draws.seed, "order": draws.order, "order_seed": draws.order_seed, "window": draws.window}

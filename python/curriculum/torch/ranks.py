"""Which rank this process is."""

from __future__ import annotations

import os

import torch.distributed


def rank_and_world_size(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """What is given, else as torch.distributed says, else RANK and WORLD_SIZE as torchrun sets them, else one rank."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if rank is None:
        rank = torch.distributed.get_rank() if distributed else _environment("RANK", 0)
    if world_size is None:
        world_size = torch.distributed.get_world_size() if distributed else _environment("WORLD_SIZE", 1)
    return rank, world_size


def check_defaults(rank: int | None, world_size: int | None, used: tuple[int, int]) -> None:
    """RuntimeError where an argument was left out, and torch.distributed, started since, has another than is `used`.

    `rank` and `world_size` are as they were given.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    found = (torch.distributed.get_rank(), torch.distributed.get_world_size())
    wanted = (found[0] if rank is None else rank, found[1] if world_size is None else world_size)
    if wanted != used:
        raise RuntimeError(
            f"the sampler was made for rank {used[0]} of {used[1]}, before torch.distributed was initialised, which "
            f"says rank {found[0]} of {found[1]}: make the sampler after that, or give it rank and world_size"
        )


def _environment(name: str, default: int) -> int:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name}={text!r} is no number") from None

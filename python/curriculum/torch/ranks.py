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


def _environment(name: str, default: int) -> int:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name}={text!r} is no number") from None

"""Memory goes back to the device: after a run, and after a job of a server that goes on."""

from __future__ import annotations

from . import device
from .bench import Bench
from .outcome import Outcome
from .server import Server
from .speed import timed

# What nvidia-smi's figures move by themselves.
SLACK = 64 * device.MIB


def of_a_run(bench: Bench) -> list[Outcome]:
    """Before, during and after the timed runs."""
    outcomes = []
    for dtype in ("f32", "f16"):
        memory = timed(bench, dtype).memory
        name = f"memory of a run in {dtype}"
        if memory is None:
            return [Outcome.skipped("memory of a run", "no device")]
        holds = memory.peak > memory.before and memory.after <= memory.before + SLACK
        outcomes.append(Outcome.of(name, holds, str(memory), **memory.figures()))
    return outcomes


def of_a_server(bench: Bench) -> list[Outcome]:
    """Two jobs over different images: what the first took beyond the idle server's goes back, at least half of
    it (kernels that were loaded and the weights stay), and the second leaves no more than the first.
    """
    settings = bench.settings
    half = max(settings.count // 2, 2)
    with Server(bench) as server:
        if not settings.on_device:
            for job in range(2):
                server.submit(bench.manifest(half, job * half), f"gpu-{job}")
            return [Outcome.skipped("memory of a server", "no device; its two jobs ran")]
        idle = device.settled(settings.device_id)
        watches = []
        for job in range(2):
            with device.Watch(settings.device_id) as watch:
                server.submit(bench.manifest(half, job * half), f"gpu-{job}")
            watches.append(watch)
    first, second = watches
    given_back = first.after - idle <= (first.peak - idle) // 2 + SLACK
    no_growth = second.after <= first.after + SLACK
    return [
        Outcome.of("memory after a job", given_back, str(first), idle=idle, **first.figures()),
        Outcome.of("memory after a second job", no_growth, str(second), idle=idle, **second.figures()),
    ]

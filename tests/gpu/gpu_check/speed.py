"""Images per second: the session alone, the whole extraction, and PyTorch doing the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .bench import SECONDS, Bench, Extraction, last_line
from .features import LEAST_COSINE
from .outcome import Outcome, Unusable

LEAST_OF_BARE = 0.9


def timed(bench: Bench, dtype: str) -> Extraction:
    """The run that is timed; the session alone runs on the same decoded images afterwards."""
    settings = bench.settings
    flags: list[object] = ["--bare-session"]
    if settings.batch_size is not None:
        flags += ["--batch-size", settings.batch_size]
    manifest = bench.manifest(settings.count)
    return bench.extract(f"timed-{dtype}", manifest, *flags, provider=settings.provider, dtype=dtype)


def figure(said: dict, name: str) -> float:
    """A positive number that the binary must have given. Raises Unusable otherwise."""
    value = said.get(name)
    if not isinstance(value, int | float) or not value > 0:
        raise Unusable(f"--json gives {name} = {value!r}")
    return float(value)


def pipeline(bench: Bench) -> list[Outcome]:
    """The goal is that reading, decoding and resizing cost at most a tenth."""
    outcomes = []
    for dtype in LEAST_COSINE:
        said = timed(bench, dtype).said
        whole, bare = figure(said, "images_per_second"), figure(said, "bare_images_per_second")
        detail = f"{whole:.1f} images/s, session alone {bare:.1f}: {whole / bare:.2f}; batch {said.get('batch_size')}"
        holds = whole >= LEAST_OF_BARE * bare
        outcomes.append(Outcome.goal(f"pipeline in {dtype}", holds, detail, **said))
    return outcomes


def pytorch(bench: Bench) -> list[Outcome]:
    """The goal is to be ahead of PyTorch in eager mode with its DataLoader, in f16; f32 is for information."""
    outcomes = []
    for dtype in LEAST_COSINE:
        ours = timed(bench, dtype).said
        theirs = peer(bench, dtype, int(figure(ours, "batch_size")))
        if theirs is None:
            return [Outcome.skipped("PyTorch", "torch, torchvision and timm are not installed beside this Python")]
        ratio = figure(ours, "images_per_second") / theirs
        detail = f"PyTorch {theirs:.1f} images/s: ours is {ratio:.2f} times as fast"
        outcomes.append(Outcome.goal(f"ahead of PyTorch in {dtype}", ratio > 1.0, detail, images_per_second=theirs))
    return outcomes


def peer(bench: Bench, dtype: str, batch: int) -> float | None:
    """PyTorch's images per second, from a process of its own; None without PyTorch. Raises Unusable if it fails."""
    settings = bench.settings
    script = Path(__file__).resolve().parents[1] / "pytorch_peer.py"
    command = [sys.executable, script, bench.manifest(settings.count), settings.peer_model]
    command += ["--device", f"cuda:{settings.device_id}" if settings.on_device else "cpu"]
    command += ["--dtype", dtype, "--batch-size", batch, "--workers", settings.workers]
    try:
        done = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, timeout=SECONDS, env=bench.environment(), check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unusable(f"PyTorch: {error}") from error
    if done.returncode == 3:
        return None
    if done.returncode != 0:
        raise Unusable(f"PyTorch ended with {done.returncode}: {last_line(done.stderr)}")
    return float(json.loads(last_line(done.stdout))["images_per_second"])

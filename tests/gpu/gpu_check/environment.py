"""What the figures were seen on."""

from __future__ import annotations

import os
import platform
from typing import Any

from . import device, runtime
from .bench import Bench


def describe(bench: Bench) -> dict[str, Any]:
    """Machine, device, runtime and flags. Raises Unusable if a device is asked for and nvidia-smi shows none."""
    settings = bench.settings
    found: dict[str, Any] = {
        "binary": bench.start("--version").stdout.strip(),
        "model": settings.model.name,
        "model in f16": (settings.model_f16 or settings.model).name,
        "runtime": runtime.libraries(bench.runtime)[-1].name,
        "provider": settings.provider,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "images": f"{min(len(bench.files), settings.count)} files, {settings.count} samples of a timed run",
    }
    if settings.on_device:
        found["device"] = device.query(settings.device_id, "name,driver_version,memory.total") + " MiB"
    return found

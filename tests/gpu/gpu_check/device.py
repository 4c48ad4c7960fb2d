"""A device's memory while something runs, as nvidia-smi counts it for all processes together."""

from __future__ import annotations

import os
import subprocess
import threading
import time

from .outcome import Unusable

SECONDS_BETWEEN = 0.1
SECONDS_TO_SETTLE = 0.3
MIB = 2**20


def query(device_id: int, field: str) -> str:
    """One field of `nvidia-smi --query-gpu`. Raises Unusable without a driver.

    The device is numbered among those that CUDA_VISIBLE_DEVICES names, as the binary numbers it.
    """
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if visible and device_id >= len(visible):
        raise Unusable(f"--device-id {device_id}: CUDA_VISIBLE_DEVICES has {len(visible)} devices")
    device = visible[device_id] if visible else str(device_id)
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits", "-i", device]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except FileNotFoundError as error:
        raise Unusable("nvidia-smi is not there") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise Unusable(f"nvidia-smi does not answer: {error}") from error
    return done.stdout.strip()


def used(device_id: int) -> int:
    """Bytes in use."""
    answer = query(device_id, "memory.used")
    if not answer.isdecimal():
        raise Unusable(f"nvidia-smi says {answer!r} instead of memory in MiB")
    return int(answer) * MIB


def settled(device_id: int) -> int:
    """Bytes in use once they no longer fall: a driver frees what an ended process held with some delay."""
    least = used(device_id)
    for _ in range(10):
        time.sleep(SECONDS_TO_SETTLE)
        now = used(device_id)
        if now >= least:
            break
        least = now
    return least


class Watch:
    """Bytes in use before, at their highest during, and after the block."""

    def __init__(self, device_id: int) -> None:
        self.device_id = device_id
        self.before = self.peak = self.after = 0
        self.failure: Unusable | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def sample(self) -> None:
        """Until the block ends."""
        try:
            while not self.stop.wait(SECONDS_BETWEEN):
                self.peak = max(self.peak, used(self.device_id))
        except Unusable as error:
            self.failure = error

    def __enter__(self) -> Watch:
        self.before = self.peak = settled(self.device_id)
        self.thread.start()
        return self

    def __exit__(self, raised: type[BaseException] | None, _value: object, _trace: object) -> None:
        self.stop.set()
        self.thread.join()
        if raised is not None:
            return
        if self.failure is not None:
            raise self.failure
        self.after = settled(self.device_id)

    def figures(self) -> dict[str, int]:
        """For the report, in bytes."""
        return {"before": self.before, "peak": self.peak, "after": self.after}

    def __str__(self) -> str:
        return f"{self.before // MIB} MiB before, {self.peak // MIB} during, {self.after // MIB} after"

"""A real server in a temporary folder, which tests may kill, and curricula in it."""

from __future__ import annotations

import errno
import os
import random
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curriculum import ingest

START_SECONDS = 60.0
# In the log of a server whose port somebody else has.
TAKEN = os.strerror(errno.EADDRINUSE)


class ServerProcess:
    """`curriculum serve` on a port that stays the same when it is started again."""

    def __init__(self, binary: Path, folder: Path, variables: dict[str, str] | None = None) -> None:
        """Starts it with these variables beside the environment, and waits until it accepts calls."""
        self._binary = binary
        self._variables = variables or {}
        self.folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except AssertionError as error:
            if TAKEN not in str(error):
                raise
            # Somebody took it before the server did.
            self._port = free_port()
            self.start()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Again, with the same data."""
        out = self.folder / "stdout"
        command = [str(self._binary), "serve", "--grpc-addr", self.address, "--http-addr", "off"]
        with out.open("wb") as stdout, (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--data-dir", str(self.folder / "data")],
                stdout=stdout,
                stderr=log,
                env={**os.environ, "CURRICULUM__GRPC__DRAIN_DELAY_SECONDS": "0", **self._variables},
            )
        end = time.monotonic() + START_SECONDS
        while b"listening on" not in out.read_bytes():
            assert self._process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: no drain, no goodbye."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and what it takes."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)


@dataclass(frozen=True)
class Published:
    """A version on a running server."""

    address: str
    name: str
    version: str
    samples: int


def free_port() -> int:
    """A port that nobody has now, and that no system gives to a client by itself.

    While a server is away, its clients' own sockets could get its port, and even connect to themselves.
    """
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def features(samples: int, seed: int = 0) -> np.ndarray:
    """f32 (samples, 8): four clouds."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(4, 8)) * 4
    return (centres[generator.integers(4, size=samples)] + generator.normal(size=(samples, 8))).astype(np.float32)


def publish(address: str, name: str, samples: int, *, seed: int = 0, **parameters: object) -> str:
    """Pushes `features`, fits them, and returns the version."""
    push = f"{name}-{samples}-{seed}"
    rows = features(samples, seed)
    ids = [f"{name}/{index}" for index in range(samples)]
    ingest.push_features(address, push, [(ids, None, rows)], total=samples, fingerprint=push)
    wanted = {"clusters": 4, "initial_effective_fraction": 0.3, "warmup_iterations": 400} | parameters
    job = ingest.submit(address, name, f"pushed:{push}", **wanted)
    return ingest.wait(address, job)


def environment(**more: str) -> dict[str, str]:
    """For child processes that import the package."""
    python = Path(__file__).resolve().parents[2] / "python"
    here = str(Path(__file__).resolve().parent)
    return os.environ | {"PYTHONPATH": f"{python}{os.pathsep}{here}", "OMP_NUM_THREADS": "1"} | more

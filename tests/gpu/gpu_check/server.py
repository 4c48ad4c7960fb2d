"""One `curriculum serve`, stopped at the end of the block."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .bench import Bench, last_line
from .outcome import Unusable

READY = "listening on "


class Server:
    """On a free port of this machine, with a data folder of its own and the bench's model, provider and runtime."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.url = ""
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Server:
        bench, settings = self.bench, self.bench.settings
        command = [settings.binary, "serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "off"]
        command += ["--data-dir", bench.folder / "data", "--model", settings.model, *bench.flags(settings.provider)]
        log = bench.folder / "server.log"
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [*map(str, command)], stdout=subprocess.PIPE, stderr=errors, text=True, env=bench.environment()
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line.startswith(READY):
            self.stop()
            raise Unusable(f"serve did not start: {last_line(log.read_text(encoding='utf-8'))}")
        self.url = line.removeprefix(READY)
        return self

    def submit(self, manifest: Path, name: str) -> None:
        """A job, waited for. Raises Unusable if it fails."""
        done = self.bench.start("submit", manifest, "--name", name, "--clusters", 2, "--server", self.url, "--wait")
        if done.returncode != 0:
            raise Unusable(f"submit ended with {done.returncode}: {last_line(done.stderr)}")

    def stop(self) -> None:
        """SIGTERM, and what it takes if that does not help."""
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()

    def __exit__(self, *_raised: object) -> None:
        self.stop()

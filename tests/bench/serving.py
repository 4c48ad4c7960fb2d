"""A server for a benchmark, on free ports of this machine."""

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass

READY, METRICS = "listening on ", "metrics on "
STOP_SECONDS = 60


@dataclass(frozen=True)
class Served:
    """A running server."""

    pid: int
    # HOST:PORT
    address: str
    # Of /metrics, if it has a side port.
    metrics: str


@contextmanager
def serving(binary, folder, *flags, side_port=False, settings=(), processors=()):
    """Its data and its log lie in `folder`. `settings`: pairs such as ("grpc.drain_seconds", 5).

    `processors`: numbers of those that it may use; none: all.
    """
    command = [binary, "serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0" if side_port else "off"]
    command += ["--data-dir", folder / "data", *flags]
    given = {f"CURRICULUM__{key.upper().replace('.', '__')}": str(value) for key, value in settings}
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(
            [*map(str, command)], stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | given
        ) as process,
    ):
        try:
            # Before it has threads that would keep what they have.
            os.sched_setaffinity(process.pid, processors or os.sched_getaffinity(0))
            address = _line(process, READY, folder).partition("://")[2]
            yield Served(process.pid, address, _line(process, METRICS, folder) if side_port else "")
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _line(process, start, folder):
    """The rest of the server's next line, which must begin so."""
    line = process.stdout.readline().strip()
    if not line.startswith(start):
        raise SystemExit((folder / "server.log").read_text())
    return line.removeprefix(start)

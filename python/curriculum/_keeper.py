"""Runs a local server for as long as somebody uses it: `python _keeper.py BINARY FOLDER FLAGS...`.

Users hold a shared lock on FOLDER/users, which the kernel takes from them however they end. The keeper tries for the
exclusive one; once it has it, nobody is left, and it stops the server. Itself it holds FOLDER/keeper exclusively for
as long as it lives, so that FOLDER/server.json counts only while its keeper is there. Standard library only: it starts
in a moment and stays small.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

READY = "listening on "
START_SECONDS = 120.0
STOP_SECONDS = 60.0
TICK = 0.1
PR_SET_PDEATHSIG = 1


def main(binary: str, folder: Path, flags: list[str]) -> int:
    """1 when the server did not start, or ended by itself."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Kept until this process ends, and never by the server, which inherits no files. Waits for a keeper that stops.
    fcntl.flock(os.open(folder / "keeper", os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)
    command = [binary, "serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "off", "--data-dir", str(folder / "data")]
    with (folder / "stdout").open("wb") as out, (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            [*command, *flags],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=log,
            preexec_fn=_end_with_parent,
            # By the time that it is stopped nobody uses it.
            env={**os.environ, "CURRICULUM__GRPC__DRAIN_DELAY_SECONDS": "0"},
        )
    record = folder / "server.json"
    try:
        address = _address(server, folder / "stdout")
        if address is None:
            return 1
        _write(record, {"address": address, "server": server.pid, "keeper": os.getpid(), "flags": flags})
        return 0 if _until_unused(server, folder / "users") else 1
    except SystemExit:
        return 0
    finally:
        # First the record: nobody shall take a server that stops for his own.
        record.unlink(missing_ok=True)
        _end(server)


def _address(server: subprocess.Popen[bytes], out: Path) -> str | None:
    """HOST:PORT, once the server accepts calls; None if it ends before."""
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        for line in out.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            if line.startswith(READY) and line.endswith("\n"):
                return line[len(READY) :].strip().removeprefix("http://")
        time.sleep(TICK / 5)
    return None


def _write(record: Path, content: dict[str, object]) -> None:
    """All of it or nothing."""
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(record)


def _until_unused(server: subprocess.Popen[bytes], users: Path) -> bool:
    """Waits, and holds the lock then; False if the server ends before."""
    lock = os.open(users, os.O_RDWR)
    while True:
        try:
            # Kept until this process ends: who wants a server meanwhile waits, and starts his own.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if server.poll() is not None:
                return False
            time.sleep(TICK)


def _end_with_parent() -> None:
    """In the server, before it begins: Linux shall end it when the keeper is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Lets the server finish what it does, but not for ever."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _stop(signum: int, frame: FrameType | None) -> None:
    """Ends main."""
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))

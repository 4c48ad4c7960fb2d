"""One process at a time, by a lock file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TICK = 0.02

# Open lock files. A forked child has them too, and would keep them locked after its parent was killed.
_held: set[int] = set()


@contextmanager
def exclusive(path: Path, patience: float) -> Iterator[None]:
    """Holds the lock of `path` for the block; the kernel takes it from who is killed.

    Another holder is waited for up to `patience` seconds, and TimeoutError says so. OSError where there can be no
    such file. It is made here and removed at the end, so that none is left.
    """
    lock = _locked(path, time.monotonic() + patience)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            # Before the lock goes: whoever waits for it sees that this is no longer the file.
            path.unlink()
        _close(lock)


def _locked(path: Path, end: float) -> int:
    """The open file, locked."""
    while (lock := _tried(path)) is None:
        if time.monotonic() >= end:
            raise TimeoutError(f"another process keeps {path} locked")
        time.sleep(_TICK)
    return lock


def _tried(path: Path) -> int | None:
    """The open file if nobody has it locked, and if it still is the one at `path` once it is ours."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    # Before it is locked: another thread may fork at any moment.
    _held.add(lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        _close(lock)
        raise
    _close(lock)
    return None


def _close(lock: int) -> None:
    _held.discard(lock)
    os.close(lock)


def _abandon_all() -> None:
    """In a forked child: the parent has the same open files, so closing these unlocks nothing."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_abandon_all)

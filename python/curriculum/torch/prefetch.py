"""Rows of indices, fetched ahead by one background thread."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

U32 = NDArray[np.uint32]

# Rows of `count` iterations from `iteration` on: u32 (count, n). Gives up, with any error, once the event is set.
Fetch = Callable[[int, int, threading.Event], U32]


class _Buffer:
    """What the thread and its reader share. The thread knows nothing else, so that it dies with its reader."""

    def __init__(self, start: int, end: int, ahead: int) -> None:
        self.changed = threading.Condition()
        self.rows: deque[U32] = deque()
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self.next = start
        self.end = end
        self.ahead = ahead

    def wait_for_room(self, rows: int) -> bool:
        """Waits until so many more may lie ready; False if the thread is to end."""
        with self.changed:
            self.changed.wait_for(lambda: self.stop.is_set() or len(self.rows) + rows <= self.ahead)
        return not self.stop.is_set()

    def close(self) -> None:
        """Tells the thread to end."""
        self.stop.set()
        with self.changed:
            self.changed.notify_all()


class Prefetcher:
    """The rows of iterations `start` to `end`, in order. For one thread.

    The background thread starts with the first `take`, keeps up to `ahead` rows, and ends when this is dropped. Used
    in a forked child, it goes on there at the same row.
    """

    def __init__(self, fetch: Fetch, start: int, end: int, ahead: int) -> None:
        """Starts nothing yet."""
        if ahead < 1:
            raise ValueError(f"prefetch must be 1 or more iterations: {ahead}")
        self._fetch = fetch
        self._position = start
        self._end = end
        self._ahead = ahead
        self._buffer: _Buffer | None = None
        self._pid = 0

    def take(self) -> U32 | None:
        """The next row, or None after the last. Raises what the thread met; taking again then tries again."""
        if self._position >= self._end:
            return None
        buffer = self._started()
        with buffer.changed:
            buffer.changed.wait_for(lambda: buffer.rows or buffer.error)
            if not buffer.rows:
                error, self._buffer = buffer.error, None
                assert error is not None
                raise error
            row = buffer.rows.popleft()
            buffer.changed.notify_all()
        self._position += 1
        return row

    def close(self) -> None:
        """Ends the thread."""
        if self._buffer is not None and self._pid == os.getpid():
            self._buffer.close()
        self._buffer = None

    def _started(self) -> _Buffer:
        if self._buffer is None or self._pid != os.getpid():
            buffer = _Buffer(self._position, self._end, self._ahead)
            # Runs at the interpreter's exit too, and in forked children.
            weakref.finalize(self, _close, buffer, os.getpid())
            threading.Thread(target=_run, args=(buffer, self._fetch), name="curriculum-prefetch", daemon=True).start()
            self._buffer, self._pid = buffer, os.getpid()
        return self._buffer


def _close(buffer: _Buffer, pid: int) -> None:
    """Unless this is a child of process `pid`: its thread is not here, but may hold the lock for ever."""
    if pid == os.getpid():
        buffer.close()


def _run(buffer: _Buffer, fetch: Fetch) -> None:
    """The thread: the first row soon, then ever larger pieces, up to half of what may lie ready."""
    largest = max(1, buffer.ahead // 2)
    piece = 1
    while buffer.next < buffer.end:
        count = min(piece, buffer.end - buffer.next)
        if not buffer.wait_for_room(count):
            return
        try:
            rows = fetch(buffer.next, count, buffer.stop)
        except BaseException as error:
            with buffer.changed:
                buffer.error = error
                buffer.changed.notify_all()
            return
        with buffer.changed:
            buffer.rows.extend(rows)
            buffer.changed.notify_all()
        buffer.next += count
        piece = min(2 * piece, largest)

"""Progress on standard error: a line that is written over on a terminal, else one every few seconds."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Bar:
    """What was done of how much."""

    def __init__(self, shown: bool, stream: TextIO | None = None) -> None:
        """Writes nothing unless `shown`."""
        self._stream = stream or sys.stderr
        self._shown = shown
        self._terminal = self._stream.isatty()
        self._last = -float("inf")
        self._width = 0
        self._text = ""

    def show(self, what: str, done: int, total: int, note: str = "") -> None:
        """`total` 0: not known; `done` 0 too: there is nothing to count."""
        share = f": {done:,}/{total:,} ({100 * done // total} %)" if total else f": {done:,}" if done else ""
        self._text = f"{what}{share}{' ' + note if note else ''}"
        pause = 0.1 if self._terminal else 5.0
        if self._shown and time.monotonic() - self._last >= pause:
            self._write()

    def end(self) -> None:
        """Writes the last state."""
        if self._shown and self._text:
            self._write()
            if self._terminal:
                self._stream.write("\n")

    def _write(self) -> None:
        self._last = time.monotonic()
        if self._terminal:
            self._stream.write("\r" + self._text.ljust(self._width))
            self._width = len(self._text)
        else:
            self._stream.write(self._text + "\n")
        self._stream.flush()

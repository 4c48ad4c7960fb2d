"""Trying again, with exponential back-off and full jitter, within a bounded time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from curriculum.errors import CurriculumError, Overloaded, Unavailable

T = TypeVar("T")

BRIEF = 10.0
"""Seconds: twice as long as servers that only read take at most to fetch a version that was published."""


@dataclass(frozen=True)
class Retry:
    """How long and how often a call that finds nobody is tried again.

    The n-th pause is drawn uniformly from 0 to `initial` x 2^n seconds, at most `maximum`, so that thousand ranks
    that lost one server do not come back at one moment; and after what an overloaded server asks for.
    """

    total: float = 60.0
    """Seconds from the first try after which no other begins; 0: one try."""
    initial: float = 0.05
    """Seconds."""
    maximum: float = 2.0
    """Seconds."""

    def __post_init__(self) -> None:
        """Refuses times that are negative or no numbers."""
        if not (self.total >= 0 and self.initial > 0 and self.maximum >= self.initial):
            raise ValueError(f"needs total >= 0 and 0 < initial <= maximum: {self}")

    def pause(self, attempt: int, error: CurriculumError) -> float:
        """Seconds to wait after try `attempt`, from 0, which ended with `error`: no less than its server asks for."""
        longest = min(self.maximum, self.initial * 2.0 ** min(attempt, 32))
        return (error.retry_after or 0.0) + random.uniform(0.0, longest)

    def run(
        self,
        call: Callable[[], T],
        *,
        also: tuple[type[CurriculumError], ...] = (),
        briefly: tuple[type[CurriculumError], ...] = (),
        stop: threading.Event | None = None,
    ) -> T:
        """What `call` returns at last.

        Server away and server overloaded are tried again, and errors in `also`, and those in `briefly` for up to
        BRIEF seconds; all others are raised at once, and these when the time is up or `stop` is set.
        """
        again: tuple[type[CurriculumError], ...] = (Unavailable, Overloaded, *also, *briefly)
        started = time.monotonic()
        attempt = 0
        while True:
            try:
                return call()
            except again as error:
                pause = self.pause(attempt, error)
                total = min(self.total, BRIEF) if briefly and isinstance(error, briefly) else self.total
                if time.monotonic() + pause >= started + total or _too_large(error) or _wait(stop, pause):
                    raise
                attempt += 1


def _too_large(error: CurriculumError) -> bool:
    """Whether a message broke a size limit: gRPC has the overload's status for it, but it comes again for ever."""
    return isinstance(error, Overloaded) and "larger than max" in str(error)


def _wait(stop: threading.Event | None, seconds: float) -> bool:
    """Sleeps, unless and until `stop` is set; whether it was."""
    if stop is not None:
        return stop.wait(seconds)
    time.sleep(seconds)
    return False

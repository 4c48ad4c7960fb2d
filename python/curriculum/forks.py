"""What keeps gRPC alive across fork().

A forked child may use neither its parent's channels nor its parent's threads. gRPC shuts its own threads down around
a fork, but only if no call is running at that moment: so every call of this package enters the gate, and a fork waits
until the gate is empty. Channels belong to the process that made them; see `connection`.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds that a fork waits for running calls. A call to a server that hangs may take as long as its deadline, and
# then a child that makes calls of its own is not worth stopping the parent for.
PATIENCE = 2.0


class Gate:
    """Counts running calls, and holds new ones back while the process forks."""

    def __init__(self) -> None:
        """Nothing runs."""
        self.reset()

    def reset(self) -> None:
        """In a forked child: it has one thread and no call, whatever lock and count say."""
        self._changed = threading.Condition()
        self._running = 0
        self._forking = False

    @contextmanager
    def call(self) -> Iterator[None]:
        """Encloses one call from its first byte to its last."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forking)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Waits for running calls, and lets no other begin."""
        with self._changed:
            self._forking = True
            self._changed.wait_for(lambda: self._running == 0, timeout=PATIENCE)

    def open(self) -> None:
        """Lets calls begin again."""
        with self._changed:
            self._forking = False
            self._changed.notify_all()


gate = Gate()


@functools.cache
def guard() -> None:
    """Makes forks wait for the gate. To be called once there is a channel.

    gRPC registers its own handlers with its first channel, and what was registered last runs first: it must not have
    begun to hold threads back when we wait for them.
    """
    os.register_at_fork(before=gate.close, after_in_parent=gate.open, after_in_child=gate.reset)

"""A TCP relay that is slow to begin, and that can fall silent.

Silence is what a broken network looks like: no packet says that the other is gone.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Relay:
    """Forwards connections to `address` to `target`, both HOST:PORT, until closed."""

    def __init__(self, target: str, delay: float = 0.0) -> None:
        """Accepts each connection at once, and forwards from `delay` seconds later on."""
        self._delay = delay
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._silenced: list[threading.Event] = []
        self._open: list[socket.socket] = []
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self) -> None:
        """From now on nothing is forwarded on connections that are open, in either direction; they stay open."""
        for event in self._silenced:
            event.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                time.sleep(self._delay)
                server = socket.create_connection(self._target)
                self._open.append(server)
                silent = threading.Event()
                self._silenced.append(silent)
                self.connections += 1
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_forward, args=(source, sink, silent), daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _forward(source: socket.socket, sink: socket.socket, silent: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            # What arrives in silence is taken, as by a network that drops it.
            if not silent.is_set():
                sink.sendall(data)
        if not silent.is_set():
            sink.shutdown(socket.SHUT_WR)

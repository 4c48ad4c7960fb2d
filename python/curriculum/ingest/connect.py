"""Connections of the ingest functions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

from curriculum.connection import DEFAULT_TIMEOUT, Connection
from curriculum.retry import Retry
from curriculum.server import connect_or_start
from curriculum.tls import TlsConfig


class Options(TypedDict, total=False):
    """How to connect; all as in `Curriculum.connect`."""

    timeout: float
    retry: Retry | None
    tls: TlsConfig | None
    api_key: str | None


@contextmanager
def connected(address: str | None, options: Options) -> Iterator[Connection]:
    """A connection for the block."""
    connection = connect_or_start(
        address,
        timeout=options.get("timeout", DEFAULT_TIMEOUT),
        retry=options.get("retry"),
        tls=options.get("tls"),
        api_key=options.get("api_key"),
    )
    try:
        yield connection
    finally:
        connection.close()

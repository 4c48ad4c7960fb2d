"""The channel to a server of whichever process asks, and calls on it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from curriculum.errors import CurriculumError, NotFound, from_status
from curriculum.forks import gate, guard
from curriculum.retry import Retry
from curriculum.target import Option, Target

T = TypeVar("T")
M = TypeVar("M", bound="Message")

SERVER = "CURRICULUM__SERVER"
DEFAULT_TIMEOUT = 30.0

# Where gRPC sends a google.rpc.Status.
_STATUS_DETAILS = "grpc-status-details-bin"

# Of a version's id; aliases are shorter.
_VERSION_DIGITS = 64

_OPTIONS: Sequence[Option] = (
    # Reconnect at the pace of our own retries: a server that restarts is back in a second or two.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A server that came back elsewhere is found while calls are still tried again; the usual 30 s are long for that.
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    # How long an attempt may take, whatever its name: names, TLS and all, over a slow line to a busy server.
    ("grpc.min_reconnect_backoff_ms", 10_000),
    # Retries are ours, so that their time is bounded and their pauses are known.
    ("grpc.enable_retries", 0),
    # A peer that vanished without a word is found out, also between calls.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # As newer releases call the same; there it is a minute by default, whatever the line above says.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Summaries of thousands of clusters exceed the usual 4 MiB; arrays come in pieces of 1 MiB.
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    # Own sockets for each channel, which no other user of gRPC in the process shares.
    ("grpc.use_local_subchannel_pool", 1),
)

# Channels that a forked child inherited. They are its parent's: the child must neither use nor close them.
_inherited: list[grpc.Channel] = []
_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


class Message(Protocol):
    """What is needed of a message."""

    def SerializeToString(self) -> bytes:
        """As protobuf has it."""
        ...

    @classmethod
    def FromString(cls: type[T], data: bytes, /) -> T:
        """As protobuf has it."""
        ...


class Connection:
    """Calls to one target. Threads may share it, and forked children too: each process gets its own channel."""

    def __init__(self, target: Target, timeout: float = DEFAULT_TIMEOUT, retry: Retry | None = None) -> None:
        """Connects on first use. `timeout` is each call's deadline in seconds."""
        if not timeout > 0:
            raise ValueError(f"timeout must be above 0 seconds: {timeout}")
        self.target = target
        self.timeout = timeout
        self.retry = retry or Retry()
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """What each process has of its own."""
        self._channel: grpc.Channel | None = None
        self._pid = 0
        self._lock = threading.Lock()
        _connections.add(self)

    def __getstate__(self) -> dict[str, Any]:
        """Target and options, the key among them; whoever unpickles it connects anew."""
        return {"target": self.target, "timeout": self.timeout, "retry": self.retry, "_closed": self._closed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Connects on first use."""
        self.__dict__.update(state)
        self._begin()

    def unary(
        self,
        method: str,
        request: Message,
        answer: type[M],
        *,
        retry: Retry | None = None,
        timeout: float | None = None,
        also: tuple[type[CurriculumError], ...] = (),
        stop: threading.Event | None = None,
    ) -> M:
        """The answer to one request, tried again as `retry` says (default: the connection's).

        Where several servers answer in turn, one may not have a version yet that another named: what names a version
        by its id is tried again for a while when it is not found.
        """

        def call() -> M:
            stub = self._open().unary_unary(
                f"/curriculum.v1.{method}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,
            )
            received: M = stub(request, timeout=timeout or self.timeout, metadata=self._metadata())
            return received

        return (retry or self.retry).run(
            lambda: self._guarded(method, call), also=also, briefly=self._behind(request), stop=stop
        )

    def stream(self, method: str, request: Message, take: Callable[[Iterable[bytes]], T]) -> T:
        """What `take` makes of the serialised answers to one request; tried again from the start."""

        def call() -> T:
            stub: grpc.UnaryStreamMultiCallable[Message, bytes] = self._open().unary_stream(
                f"/curriculum.v1.{method}", request_serializer=type(request).SerializeToString
            )
            answers = stub(request, timeout=self.timeout, metadata=self._metadata())
            try:
                return take(answers)
            finally:
                answers.cancel()

        return self.retry.run(lambda: self._guarded(method, call), briefly=self._behind(request))

    def follow(self, method: str, request: Message, answer: type[M], each: Callable[[M], None]) -> None:
        """Hands every answer to `each`, with neither deadline nor retries."""

        def call() -> None:
            stub = self._open().unary_stream(
                f"/curriculum.v1.{method}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,
            )
            answers = stub(request, metadata=self._metadata())
            try:
                for received in answers:
                    each(received)
            finally:
                answers.cancel()

        # Not through the gate: this call lasts as long as a job.
        self._translated(method, call)

    def upload(self, method: str, requests: Sequence[Message], answer: type[M]) -> M:
        """The answer to a stream of requests; not tried again."""

        def call() -> M:
            stub = self._open().stream_unary(
                f"/curriculum.v1.{method}",
                request_serializer=type(requests[0]).SerializeToString,
                response_deserializer=answer.FromString,
            )
            received: M = stub(iter(requests), timeout=10 * self.timeout, metadata=self._metadata())
            return received

        return self._guarded(method, call)

    def close(self) -> None:
        """Closes this process's channel; further calls raise ValueError."""
        with self._lock:
            channel = self._channel if self._pid == os.getpid() else None
            self._channel, self._closed = None, True
        if channel is not None:
            channel.close()

    def _behind(self, request: Message) -> tuple[type[CurriculumError], ...]:
        """Errors of a server that will have what `request` names once it has caught up with the others."""
        pinned = len(getattr(request, "version", "")) == _VERSION_DIGITS
        return (NotFound,) if pinned and self.target.several() else ()

    def _guarded(self, method: str, call: Callable[[], T]) -> T:
        with gate.call():
            return self._translated(method, call)

    def _translated(self, method: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except grpc.RpcError as error:
            code, details, retry_after = _status(error)
            raise from_status(method, self.target.address, code, details, retry_after) from None

    def _open(self) -> grpc.Channel:
        with self._lock:
            if self._closed:
                raise ValueError("the connection is closed")
            if self._channel is None or self._pid != os.getpid():
                self._channel, self._pid = self._connect(), os.getpid()
                guard()
            return self._channel

    def _connect(self) -> grpc.Channel:
        target = self.target
        options = (*_OPTIONS, *target.options())
        if target.tls is None:
            return grpc.insecure_channel(target.address, options=options)
        return grpc.secure_channel(target.address, target.tls.credentials(), options=options)

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        key = self.target.api_key
        return (("authorization", f"Bearer {key}"),) if key else ()

    def _abandon(self) -> None:
        """In a forked child: forgets the parent's channel, and a lock that a thread of the parent may hold."""
        self._lock = threading.Lock()
        if self._channel is not None:
            _inherited.append(self._channel)
            self._channel = None


def _status(error: grpc.RpcError) -> tuple[grpc.StatusCode, str | None, float | None]:
    """Code and text of a failed call, and the seconds that its server wants to be left alone."""
    if isinstance(error, grpc.Call):
        return error.code(), error.details(), _retry_after(error)
    return grpc.StatusCode.UNKNOWN, str(error), None


def _retry_after(error: grpc.Call) -> float | None:
    """Of the error's google.rpc.RetryInfo, if it has one that can be read."""
    info = RetryInfo()
    for name, value in error.trailing_metadata() or ():
        if name == _STATUS_DETAILS:
            try:
                details = Status.FromString(value).details
                if any(detail.Unpack(info) for detail in details):
                    seconds: float = info.retry_delay.ToTimedelta().total_seconds()
                    return max(0.0, seconds)
            except (DecodeError, OverflowError, ValueError):
                return None
    return None


def _abandon_all() -> None:
    for connection in list(_connections):
        connection._abandon()


os.register_at_fork(after_in_child=_abandon_all)

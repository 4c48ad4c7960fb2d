"""Networks that are slow, or drop everything without a word."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from curriculum import Curriculum, Retry, connection, errors
from curriculum.target import Target
from curriculum.v1 import curriculum_pb2 as pb
from fake_service import FakeServer, FakeService
from relay import Relay

ONCE = Retry(total=0.0)
# Instead of 30 s and 10 s.
QUICK = {"grpc.keepalive_time_ms": 500, "grpc.keepalive_timeout_ms": 3000, "grpc.http2.ping_timeout_ms": 3000}


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def relay(service: FakeService) -> Iterator[Relay]:
    with FakeServer(service) as server, Relay(server.address) as running:
        yield running


def test_a_connection_may_take_a_second(service: FakeService) -> None:
    """TLS over a slow line, or a host with too much to do."""
    with FakeServer(service) as server, Relay(server.address, delay=1.0) as relay:
        Curriculum.connect(relay.address, "fake", retry=ONCE).close()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_OPTIONS", tuple((dict(connection._OPTIONS) | QUICK).items()))


def wait_for(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_silent_peer_is_found_out_within_a_minute() -> None:
    options = dict(connection._OPTIONS)
    for timeout in ("grpc.keepalive_timeout_ms", "grpc.http2.ping_timeout_ms"):
        assert options["grpc.keepalive_time_ms"] + options[timeout] <= 60_000
    # Between calls too, and as often as that.
    assert options["grpc.keepalive_permit_without_calls"] == 1
    assert options["grpc.http2.max_pings_without_data"] == 0


@pytest.mark.usefixtures("_quick")
def test_a_call_ends_long_before_its_deadline(relay: Relay) -> None:
    with Curriculum.connect(relay.address, "fake", timeout=300, retry=ONCE) as curriculum:
        relay.silence()
        started = time.monotonic()
        with pytest.raises(errors.Unavailable, match=f"GetSchedule at {relay.address}"):
            curriculum.schedule([0])
        assert time.monotonic() - started < 50


@pytest.mark.usefixtures("_quick")
def test_an_idle_client_notices_and_connects_anew(relay: Relay) -> None:
    with Curriculum.connect(relay.address, "fake", timeout=300, retry=ONCE) as curriculum:
        states: list[grpc.ChannelConnectivity] = []
        curriculum._connection._open().subscribe(states.append)
        wait_for(lambda: grpc.ChannelConnectivity.READY in states)
        relay.silence()
        # Without a call.
        wait_for(lambda: states[-1] is not grpc.ChannelConnectivity.READY)
        assert len(curriculum.schedule([0])) == 1 and relay.connections >= 2


@pytest.mark.usefixtures("_quick")
def test_who_follows_without_a_deadline_notices(relay: Relay, service: FakeService) -> None:
    service.delay = 60.0
    follower = connection.Connection(Target.parse(relay.address, None, None))
    threading.Thread(target=lambda: (wait_for(lambda: bool(service.calls)), relay.silence())).start()
    received: list[pb.GetDifficultyResponse] = []
    with pytest.raises(errors.Unavailable):
        follower.follow(
            "CurriculumService/GetDifficulty", pb.GetDifficultyRequest(), pb.GetDifficultyResponse, received.append
        )
    assert not received
    follower.close()

"""Finding a server: versions, TLS, keys, retries and deadlines, against one that misbehaves as told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from curriculum import Curriculum, Retry, TlsConfig, errors, ingest
from curriculum.connection import Connection
from curriculum.target import Target
from fake_service import SAMPLES, VERSION, FakeServer, FakeService

QUICK = Retry(total=60.0, initial=0.01, maximum=0.05)
ONCE = Retry(total=0.0)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def server(service: FakeService) -> Iterator[FakeServer]:
    with FakeServer(service) as running:
        yield running


def test_a_client_learns_name_version_and_samples(server: FakeServer) -> None:
    with Curriculum.connect(server.address, "fake@prod", expected_samples=SAMPLES) as curriculum:
        assert (curriculum.name, curriculum.version, curriculum.samples) == ("fake", VERSION, SAMPLES)


def test_address_and_key_come_from_the_environment(
    server: FakeServer, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURRICULUM__SERVER", f"http://{server.address}")
    monkeypatch.setenv("CURRICULUM_API_KEY", "from-environment")
    Curriculum.connect(name="fake").close()
    Curriculum.connect(name="fake", read_key="given").close()
    assert service.keys == ["Bearer from-environment", "Bearer given"]


def test_a_key_may_come_from_a_file_whole(server: FakeServer, service: FakeService) -> None:
    Curriculum.connect(server.address, "fake", api_key="of-a-file\n").close()
    assert service.keys == ["Bearer of-a-file"]
    with pytest.raises(ValueError, match="API key") as refused:
        Curriculum.connect(server.address, "fake", api_key="two\nlines")
    assert "two" not in str(refused.value)


def test_a_target_shows_no_key() -> None:
    assert "secret" not in repr(Target.parse("localhost:1", None, "secret"))


def test_another_length_is_refused_with_both_numbers(server: FakeServer) -> None:
    with pytest.raises(errors.LengthMismatch, match=r"1,234 samples.* has 1,000"):
        Curriculum.connect(server.address, "fake", expected_samples=1234)


@pytest.mark.parametrize(("level", "older"), [(0, "server"), (2, "client")])
def test_another_api_level_is_refused(server: FakeServer, service: FakeService, level: int, older: str) -> None:
    service.api_level = level
    with pytest.raises(errors.VersionMismatch, match=f"9.8.7.*level {level}.*level 1.*the {older} is older"):
        Curriculum.connect(server.address, "fake")


def test_a_server_without_the_call_is_older(server: FakeServer) -> None:
    curriculum = Curriculum.connect(server.address, "fake")
    with pytest.raises(errors.VersionMismatch, match=r"does not know .*SampleIndices.*older than this client"):
        curriculum.sample_indices(0, 8)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.NOT_FOUND, errors.NotFound),
        (grpc.StatusCode.FAILED_PRECONDITION, errors.NotPublished),
        (grpc.StatusCode.UNAUTHENTICATED, errors.PermissionDenied),
        (grpc.StatusCode.INVALID_ARGUMENT, errors.InvalidArgument),
        (grpc.StatusCode.DATA_LOSS, errors.DataLoss),
        (grpc.StatusCode.INTERNAL, errors.ServerError),
    ],
)
def test_each_status_has_its_error(
    server: FakeServer, service: FakeService, code: grpc.StatusCode, expected: type[errors.CurriculumError]
) -> None:
    service.failures = [code]
    with pytest.raises(expected, match=f"GetCurriculum at {server.address}: GetCurriculum was told to fail"):
        Curriculum.connect(server.address, "fake", retry=QUICK)
    assert service.calls == ["GetCurriculum"]


def test_a_server_that_is_away_for_a_moment_is_tried_again(server: FakeServer, service: FakeService) -> None:
    service.failures = [grpc.StatusCode.UNAVAILABLE] * 3 + [grpc.StatusCode.RESOURCE_EXHAUSTED]
    Curriculum.connect(server.address, "fake", retry=QUICK).close()
    assert len(service.calls) == 5


def in_seconds(seconds: float) -> bytes:
    """What a server that wants to be left alone for so long sends with its refusal."""
    info, status, unread = RetryInfo(), Status(), ErrorInfo(reason="BUSY")
    info.retry_delay.FromNanoseconds(int(1e9 * seconds))
    for detail in (unread, info):
        status.details.add().Pack(detail)
    serialized: bytes = status.SerializeToString()
    return serialized


def test_an_overloaded_server_is_left_alone_as_long_as_it_asks(server: FakeServer, service: FakeService) -> None:
    service.failures, service.details = [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2, in_seconds(0.3)
    started = time.monotonic()
    Curriculum.connect(server.address, "fake", retry=QUICK).close()
    assert 0.6 <= time.monotonic() - started < 30
    assert len(service.calls) == 3


def test_no_server_is_waited_for_beyond_the_time_for_all_tries(
    server: FakeServer, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.failures, service.details = [grpc.StatusCode.RESOURCE_EXHAUSTED], in_seconds(3600)
    with pytest.raises(errors.Overloaded) as refused:
        Curriculum.connect(server.address, "fake", retry=QUICK)
    assert refused.value.retry_after == 3600

    def follow(*_: object) -> None:
        raise refused.value

    monkeypatch.setattr(Connection, "follow", follow)
    with pytest.raises(errors.Overloaded):
        ingest.wait(server.address, "job", retry=QUICK)


@pytest.mark.parametrize("details", [b"\xff\xff", in_seconds(-5), b"\x1a\x02\x0a\x00"])
def test_details_that_say_nothing_are_passed_over(server: FakeServer, service: FakeService, details: bytes) -> None:
    service.failures, service.details = [grpc.StatusCode.RESOURCE_EXHAUSTED], details
    Curriculum.connect(server.address, "fake", retry=QUICK).close()
    assert len(service.calls) == 2


def test_tries_end_when_their_time_is_up() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(errors.Unavailable, match=address):
            Curriculum.connect(address, "fake", retry=Retry(total=0.6, initial=0.05, maximum=0.1))
        assert 0.3 < time.monotonic() - started < 30


def test_a_call_ends_at_its_deadline(server: FakeServer, service: FakeService) -> None:
    service.delay = 60.0
    with pytest.raises(errors.DeadlineExceeded):
        Curriculum.connect(server.address, "fake", timeout=0.2, retry=ONCE)


def test_pauses_grow_and_are_drawn() -> None:
    retry = Retry(total=60, initial=0.1, maximum=2.0)
    away, busy = errors.Unavailable("away"), errors.Overloaded("busy")
    busy.retry_after = 7.0
    longest = [max(retry.pause(attempt, away) for _ in range(300)) for attempt in range(8)]
    bounds = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert all(0.9 * bound < pause <= bound for pause, bound in zip(longest, bounds, strict=True))
    assert min(retry.pause(5, away) for _ in range(300)) < 0.1
    later = [retry.pause(5, busy) for _ in range(300)]
    assert 7.0 <= min(later) < 7.1 and 8.8 < max(later) <= 9.0


def test_waiting_ends_with_its_event() -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()

    def away() -> None:
        raise errors.Unavailable("away")

    started = time.monotonic()
    with pytest.raises(errors.Unavailable):
        Retry(total=600, initial=300, maximum=300).run(away, stop=stop)
    assert time.monotonic() - started < 30


def test_a_closed_client_says_so(server: FakeServer) -> None:
    curriculum = Curriculum.connect(server.address, "fake")
    curriculum.close()
    curriculum.close()
    with pytest.raises(ValueError, match="closed"):
        curriculum.schedule([0])


def test_difficulties_come_once_per_version(
    server: FakeServer, service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURRICULUM_CACHE", str(tmp_path))
    first, second = (Curriculum.connect(server.address, "fake") for _ in range(2))
    expected = np.linspace(0, 1, SAMPLES, dtype=np.float32)
    np.testing.assert_array_equal(first.difficulty(), expected)
    np.testing.assert_array_equal(second.difficulty(), expected)
    assert service.calls.count("GetDifficulty") == 1
    (file,) = (tmp_path / "difficulty").iterdir()
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    np.testing.assert_array_equal(second.difficulty(), expected)
    assert service.calls.count("GetDifficulty") == 2
    local = second.local()
    service.calls.clear()
    local.weights(3)
    assert service.calls == ["GetSchedule"]


def test_difficulties_that_were_damaged_on_the_way_are_refused(
    server: FakeServer, service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURRICULUM_CACHE", str(tmp_path))
    service.checksum_off = 1
    with pytest.raises(errors.DataLoss, match="checksum"):
        Curriculum.connect(server.address, "fake").difficulty()
    assert not list((tmp_path / "difficulty").iterdir())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def encrypted(authority: trustme.CA, service: FakeService) -> Iterator[FakeServer]:
    """Asks for client certificates."""
    certificate = authority.issue_cert("localhost")
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    credentials = grpc.ssl_server_credentials([pair], authority.cert_pem.bytes(), require_client_auth=True)
    with FakeServer(service, credentials) as running:
        yield running


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """PEM files of a client."""
    own = authority.issue_cert("client")
    paths = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "certificate", "key")}
    authority.cert_pem.write_to_path(paths["ca"])
    own.cert_chain_pems[0].write_to_path(paths["certificate"])
    own.private_key_pem.write_to_path(paths["key"])
    return paths


def test_tls_by_argument(encrypted: FakeServer, service: FakeService, files: dict[str, str]) -> None:
    address = encrypted.address.replace("127.0.0.1", "localhost")
    curriculum = Curriculum.connect(f"https://{address}", "fake", tls=TlsConfig(**files), api_key="secret")
    assert curriculum.samples == SAMPLES and service.keys == ["Bearer secret"]
    named = TlsConfig(**files, server_name="localhost")
    assert Curriculum.connect(encrypted.address, "fake", tls=named).samples == SAMPLES


def test_tls_by_environment(encrypted: FakeServer, files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, file in (("CA", files["ca"]), ("CERT", files["certificate"]), ("KEY", files["key"])):
        monkeypatch.setenv(f"CURRICULUM_TLS_{name}", file)
    address = encrypted.address.replace("127.0.0.1", "localhost")
    assert Curriculum.connect(address, "fake").samples == SAMPLES


def test_a_server_of_another_authority_is_refused(encrypted: FakeServer, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with pytest.raises(errors.Unavailable):
        Curriculum.connect(encrypted.address, "fake", tls=TlsConfig(tmp_path / "other.pem"), retry=ONCE)


def test_a_client_without_certificate_is_refused(encrypted: FakeServer, files: dict[str, str]) -> None:
    with pytest.raises(errors.Unavailable):
        Curriculum.connect(encrypted.address, "fake", tls=TlsConfig(files["ca"]), retry=ONCE)


def test_half_a_client_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        TlsConfig(certificate="client.pem")


def test_a_message_that_is_too_large_is_not_asked_for_again() -> None:
    tries = 0

    def too_large() -> None:
        nonlocal tries
        tries += 1
        raise errors.Overloaded("Received message larger than max (5 vs. 4)")

    with pytest.raises(errors.Overloaded):
        QUICK.run(too_large)
    assert tries == 1

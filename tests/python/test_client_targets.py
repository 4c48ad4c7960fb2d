"""Addresses: of one server, and of several that answer in turn."""

from __future__ import annotations

import time
from contextlib import ExitStack, nullcontext
from pathlib import Path

import grpc
import pytest
import trustme

from curriculum import Curriculum, Retry, TlsConfig, retry
from curriculum.errors import NotFound
from curriculum.target import Target
from fake_service import FakeServer, FakeService

QUICK = Retry(total=60.0, initial=0.01, maximum=0.1)


@pytest.mark.parametrize(
    ("address", "expected", "encrypted"),
    [
        ("host:50051", "host:50051", False),
        ("http://host:50051/", "host:50051", False),
        ("https://host:443", "host:443", True),
        ("[::1]:50051", "[::1]:50051", False),
        ("dns:///service:50051", "dns:///service:50051", False),
        ("dns://10.0.0.10/service:50051", "dns://10.0.0.10/service:50051", False),
        ("ipv4:10.0.0.1:1,10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2", False),
        ("ipv6:[::1]:1,[::2]:2", "ipv6:[::1]:1,[::2]:2", False),
    ],
)
def test_addresses(address: str, expected: str, encrypted: bool) -> None:
    target = Target.parse(address, None, None)
    assert target.address == expected and (target.tls is not None) == encrypted


@pytest.mark.parametrize(
    "address",
    [
        "host",
        "host:port",
        "host:99999",
        ":1",
        "ftp://host:1",
        "http://host:1/path",
        "",
        "dns:///host",
        "dns://host:1",
        "dns:///one:1,two:2",
        "ipv4:10.0.0.1",
        "ipv4:host:1",
        "ipv4:10.0.0.1:1,",
        "ipv6:[::1]:1,10.0.0.1:1",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Target.parse(address, None, None)


def test_a_plain_address_with_tls_is_refused() -> None:
    with pytest.raises(ValueError, match="plain text"):
        Target.parse("http://host:1", TlsConfig(), None)


def test_one_name_has_one_connection_and_several_addresses_take_turns() -> None:
    assert not Target.parse("host:1", None, None).options()
    for address in ("dns:///host:1", "ipv4:10.0.0.1:1", "ipv6:[::1]:1"):
        options = dict(Target.parse(address, None, None).options())
        assert "round_robin" in str(options["grpc.service_config"])


def test_servers_of_one_target_answer_in_turn_and_for_each_other() -> None:
    services = [FakeService() for _ in range(3)]
    with ExitStack() as stack:
        servers = [stack.enter_context(FakeServer(service)) for service in services]
        target = "ipv4:" + ",".join(server.address for server in servers)
        with Curriculum.connect(target, "fake", retry=QUICK) as curriculum:
            end = time.monotonic() + 60
            while any(service.calls.count("GetSchedule") <= 5 for service in services):
                assert time.monotonic() < end, f"calls: {[len(service.calls) for service in services]}"
                curriculum.schedule([0])
            servers[0].stop()
            for service in services:
                service.calls.clear()
            for _ in range(20):
                curriculum.schedule([0])
            assert [bool(service.calls) for service in services] == [False, True, True]


def test_a_version_is_asked_for_again_where_another_server_may_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead, behind = FakeService(), FakeService()
    with FakeServer(ahead) as first, FakeServer(behind) as second:
        target = f"ipv4:{first.address},{second.address}"
        for address, found in ((target, True), (second.address, False)):
            curriculum = Curriculum.connect(address, "fake", retry=QUICK)
            behind.failures = [grpc.StatusCode.NOT_FOUND] * 3
            ahead.failures = list(behind.failures)
            with nullcontext() if found else pytest.raises(NotFound):
                curriculum.weights(0)
            with nullcontext() if found else pytest.raises(NotFound):
                curriculum.schedule([0])
            ahead.failures = behind.failures = []
        # A version that is gone stays gone.
        monkeypatch.setattr(retry, "BRIEF", 0.2)
        curriculum = Curriculum.connect(target, "fake", retry=QUICK)
        ahead.failures = [grpc.StatusCode.NOT_FOUND] * 10_000
        behind.failures = list(ahead.failures)
        started = time.monotonic()
        with pytest.raises(NotFound):
            curriculum.schedule([0])
        assert time.monotonic() - started < QUICK.total / 2


def test_a_list_of_addresses_is_encrypted_like_one(tmp_path: Path) -> None:
    authority, service = trustme.CA(), FakeService()
    tls = TlsConfig(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(str(tls.ca))
    for name, config in (("127.0.0.1", tls), ("service", TlsConfig(tls.ca, server_name="service"))):
        certificate = authority.issue_cert(name)
        pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
        with FakeServer(service, grpc.ssl_server_credentials([pair])) as server:
            target = f"ipv4:{server.address},{server.address}"
            assert Curriculum.connect(target, "fake", tls=config, retry=QUICK).name == "fake"

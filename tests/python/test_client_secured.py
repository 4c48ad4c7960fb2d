"""A server with TLS, clients' certificates and keys, as the client reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import trustme

from binary import Binary
from curriculum import Curriculum, TlsConfig
from curriculum.errors import PermissionDenied, Unavailable
from curriculum.retry import Retry
from served import ServerProcess, publish

READ, WRITE, OTHER = "read-0123456789abcdef", "write-0123456789abcdef", "other-0123456789abcdef"
ONCE = Retry(total=0)


@dataclass(frozen=True)
class Secured:
    """A server that asks for a certificate and a key, with the curriculum `clouds`."""

    address: str
    tls: TlsConfig
    authority: Path


@pytest.fixture(scope="module")
def secured(binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Certificates of two authorities, one for the server's and one for clients'."""
    folder = tmp_path_factory.mktemp("secured")
    authority, clients = trustme.CA(), trustme.CA()
    certificate, client = authority.issue_cert("127.0.0.1"), clients.issue_cert("trainer")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    clients.cert_pem.write_to_path(folder / "clients.pem")
    for name, issued in (("server", certificate), ("client", client)):
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
    (folder / "read.keys").write_text(f"{READ}\n")
    (folder / "write.keys").write_text(f"{WRITE}\n")
    (folder / "curriculum.keys").write_text(f"{OTHER} other\n")
    files = {
        "TLS__CERT_FILE": "server.pem",
        "TLS__KEY_FILE": "server.key",
        "TLS__CLIENT_CA_FILE": "clients.pem",
        "AUTH__READ_KEYS_FILE": "read.keys",
        "AUTH__WRITE_KEYS_FILE": "write.keys",
        "AUTH__CURRICULUM_KEYS_FILE": "curriculum.keys",
    }
    variables = {f"CURRICULUM__{name}": str(folder / file) for name, file in files.items()}
    server = ServerProcess(binary.path, folder, variables)
    tls = TlsConfig(folder / "ca.pem", folder / "client.pem", folder / "client.key")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CURRICULUM_TLS_CA", str(tls.ca))
            patch.setenv("CURRICULUM_TLS_CERT", str(tls.certificate))
            patch.setenv("CURRICULUM_TLS_KEY", str(tls.key))
            patch.setenv("CURRICULUM_API_KEY", WRITE)
            publish(server.address, "clouds", 2000)
        yield Secured(server.address, tls, folder / "ca.pem")
    finally:
        server.stop()


def test_a_trainers_key_reads(secured: Secured) -> None:
    """Weights and indices, over TLS both ways."""
    with Curriculum.connect(secured.address, "clouds", tls=secured.tls, read_key=READ, retry=ONCE) as curriculum:
        assert curriculum.samples == 2000
        weights = curriculum.weights(10)
        assert weights.dtype == np.float32 and abs(float(weights.sum(dtype=np.float64)) - 1) < 1e-6


@pytest.mark.parametrize("key", [None, "wrong-0123456789abcdef", OTHER])
def test_other_keys_do_not(secured: Secured, key: str | None) -> None:
    """No key, a wrong one, and that of another curriculum."""
    with pytest.raises(PermissionDenied):
        Curriculum.connect(secured.address, "clouds", tls=secured.tls, api_key=key, retry=ONCE)


def test_without_a_certificate_nobody_connects(secured: Secured) -> None:
    """The key alone does not help."""
    tls = TlsConfig(secured.authority)
    with pytest.raises(Unavailable):
        Curriculum.connect(secured.address, "clouds", tls=tls, api_key=READ, retry=ONCE)


def test_a_trainers_key_does_not_write(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does it see jobs."""
    monkeypatch.setenv("CURRICULUM_TLS_CA", str(secured.tls.ca))
    monkeypatch.setenv("CURRICULUM_TLS_CERT", str(secured.tls.certificate))
    monkeypatch.setenv("CURRICULUM_TLS_KEY", str(secured.tls.key))
    monkeypatch.setenv("CURRICULUM_API_KEY", READ)
    with pytest.raises(PermissionDenied):
        publish(secured.address, "mine", 100)

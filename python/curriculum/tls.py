"""Encryption and keys, by argument or environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import grpc

CA, CERTIFICATE, KEY, API_KEY = "CURRICULUM_TLS_CA", "CURRICULUM_TLS_CERT", "CURRICULUM_TLS_KEY", "CURRICULUM_API_KEY"


@dataclass(frozen=True)
class TlsConfig:
    """PEM files for a TLS connection; all unset: the system's certificates, and no client certificate."""

    ca: str | Path | None = None
    """Certificates that are trusted, instead of the system's."""
    certificate: str | Path | None = None
    """The client's own certificate, for servers that ask for one. Needs `key`."""
    key: str | Path | None = None
    """Private key of `certificate`."""
    server_name: str | None = None
    """Name in the server's certificate, where it is not the host of the address."""

    def __post_init__(self) -> None:
        """Refuses half a client certificate."""
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: set both or neither")

    @staticmethod
    def from_environment() -> TlsConfig | None:
        """What CURRICULUM_TLS_CA, CURRICULUM_TLS_CERT and CURRICULUM_TLS_KEY name; None when all are unset."""
        ca, certificate, key = (os.environ.get(name) or None for name in (CA, CERTIFICATE, KEY))
        return TlsConfig(ca, certificate, key) if ca or certificate or key else None

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files. OSError names one that cannot be read."""
        ca, certificate, key = (
            Path(file).read_bytes() if file is not None else None for file in (self.ca, self.certificate, self.key)
        )
        return grpc.ssl_channel_credentials(root_certificates=ca, private_key=key, certificate_chain=certificate)


def api_key_from_environment() -> str | None:
    """CURRICULUM_API_KEY, if it is set and not empty."""
    return os.environ.get(API_KEY) or None

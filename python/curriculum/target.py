"""Where a server is, or several that serve the same, and how they are spoken to."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from curriculum.tls import TlsConfig, api_key_from_environment

Option = tuple[str, "str | int"]

# Targets as gRPC spells them, which may stand for several servers.
_KINDS = ("dns", "ipv4", "ipv6")

# A connection to each address, and calls to those that are up, in turn.
_IN_TURN: Option = ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}')


@dataclass(frozen=True)
class Target:
    """Where a server is, or several, and how they are spoken to."""

    address: str
    """HOST:PORT, or a target of gRPC: dns:///HOST:PORT, ipv4:IP:PORT,IP:PORT or ipv6:[IP]:PORT,[IP]:PORT."""
    tls: TlsConfig | None = None
    """None: plain text."""
    api_key: str | None = field(default=None, repr=False)
    """Sent with every call as `authorization: Bearer KEY`."""

    @staticmethod
    def parse(address: str, tls: TlsConfig | None, api_key: str | None) -> Target:
        """`address` as above, or http://HOST:PORT or https://HOST:PORT; what is None comes from the environment."""
        key = _key(api_key or api_key_from_environment())
        if _endpoints(address):
            return Target(address, tls or TlsConfig.from_environment(), key)
        scheme, rest = address.split("://", 1) if "://" in address else ("", address)
        if scheme not in ("", "http", "https"):
            raise ValueError(f"address {address!r}: the scheme is http, https or dns, or left out")
        if scheme == "http" and tls is not None:
            raise ValueError(f"address {address!r} is plain text, but tls is given")
        if scheme != "http" and tls is None:
            tls = TlsConfig.from_environment() or (TlsConfig() if scheme == "https" else None)
        return Target(_endpoint(rest, address), tls, key)

    def several(self) -> bool:
        """Whether more than one server may answer."""
        return bool(_endpoints(self.address))

    def options(self) -> Sequence[Option]:
        """Options of a channel to it."""
        endpoints = _endpoints(self.address)
        options = [_IN_TURN] if endpoints else []
        name = self.tls.server_name if self.tls else None
        if name:
            options.append(("grpc.ssl_target_name_override", name))
        elif endpoints and not self.address.startswith("dns:"):
            # Otherwise the whole list would be the server's name, in each request and for its certificate.
            options.append(("grpc.default_authority", endpoints[0]))
        return options


def _key(text: str | None) -> str | None:
    """A key without what files put around it, such as the end of a line. ValueError does not show it."""
    key = (text or "").strip()
    if not all("!" <= character <= "~" for character in key):
        raise ValueError("the API key has characters that no key has: they are printable ASCII, without spaces")
    return key or None


def _endpoints(address: str) -> list[str]:
    """HOST:PORT of each address of one of gRPC's own targets; none for any other."""
    kind, _, rest = address.partition(":")
    if kind not in _KINDS or rest.isdigit():
        return []
    if kind != "dns":
        return [_literal(kind, part, address) for part in rest.split(",")]
    if rest.startswith("//"):
        _, slash, rest = rest[2:].partition("/")
        if not slash:
            raise ValueError(f"address {address!r} is not dns:///HOST:PORT")
    return [_endpoint(rest, address)]


def _literal(kind: str, part: str, address: str) -> str:
    """IP:PORT as it stands in a list."""
    endpoint = _endpoint(part, address)
    host = endpoint.rsplit(":", 1)[0].strip("[]")
    try:
        ipaddress.IPv4Address(host) if kind == "ipv4" else ipaddress.IPv6Address(host)
    except ValueError as error:
        raise ValueError(f"address {address!r}: {error}") from None
    return endpoint


def _endpoint(text: str, address: str) -> str:
    """HOST:PORT without what may stand around it. ValueError shows the whole address."""
    parts = urlsplit(f"//{text}")
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError(f"address {address!r}: {error}") from None
    if not parts.hostname or "," in parts.hostname or port is None or parts.path.strip("/") or parts.query:
        raise ValueError(f"address {address!r} is not HOST:PORT")
    return f"[{parts.hostname}]:{port}" if ":" in parts.hostname else f"{parts.hostname}:{port}"

"""The first call: who answers, and which version a name means."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from curriculum.connection import Connection
from curriculum.errors import FailedPrecondition, NotFound, NotPublished, VersionMismatch
from curriculum.v1 import curriculum_pb2 as pb

DISTRIBUTION = "curriculum-server"

# The level of curriculum.v1 that this client was written for.
API_LEVEL = 1


@dataclass(frozen=True)
class Resolved:
    """A version of a curriculum."""

    name: str
    version: str
    samples: int


def resolve(connection: Connection, name: str, version: str | None) -> Resolved:
    """What `name` and `version` mean now, on a server of our API level."""
    request = pb.GetCurriculumRequest(curriculum=name or _only(connection), version=version or "")
    try:
        answer = connection.unary("CurriculumService/GetCurriculum", request, pb.GetCurriculumResponse)
    except FailedPrecondition as error:
        raise NotPublished(str(error)) from None
    check(answer.api_level, answer.server_version, connection.target.address)
    return Resolved(answer.curriculum.name, answer.version.id, answer.version.summary.sample_count)


def check(api_level: int, server_version: str, address: str) -> None:
    """VersionMismatch, saying which side to upgrade, unless the server has our API level."""
    if api_level == API_LEVEL:
        return
    older, newer = ("server", "client") if api_level < API_LEVEL else ("client", "server")
    raise VersionMismatch(
        f"the server at {address} (version {server_version or 'unknown'}) speaks API level {api_level}, this client "
        f"(version {client_version()}) speaks level {API_LEVEL}: the {older} is older than the {newer}, upgrade it"
    )


def client_version() -> str:
    """Version of the installed distribution."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


def _only(connection: Connection) -> str:
    """The server's one curriculum, for callers who name none."""
    answer = connection.unary("CurriculumService/ListCurricula", pb.ListCurriculaRequest(), pb.ListCurriculaResponse)
    names = [curriculum.name for curriculum in answer.curricula]
    if len(names) == 1:
        return names[0]
    found = f"name one of {', '.join(names)}" if names else "it has none"
    raise NotFound(f"which curriculum at {connection.target.address}? {found}")

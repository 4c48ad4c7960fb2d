"""What goes wrong, by cause. Every error of this package is a `CurriculumError`."""

from __future__ import annotations

import grpc


class CurriculumError(Exception):
    """Any error of this package. `code` is the gRPC status it came from, or None where no call was made."""

    code: grpc.StatusCode | None = None
    retry_after: float | None = None
    """Seconds after which the server wants to be asked again, if it said so."""


class NotFound(CurriculumError, LookupError):
    """No curriculum, version, job or push of that name."""


class NotPublished(CurriculumError):
    """The curriculum's first version is still being built; the text names the job's stage."""


class FailedPrecondition(CurriculumError):
    """The server's state does not allow the call."""


class LengthMismatch(CurriculumError, ValueError):
    """The dataset and the curriculum have different numbers of samples; the text names both."""


class VersionMismatch(CurriculumError):
    """Server and client do not speak the same API level; the text names both versions."""


class InvalidArgument(CurriculumError, ValueError):
    """The server refused a field, which the text names."""


class OutOfRange(CurriculumError, ValueError):
    """Samples are missing before those sent; the text names the offset that is expected."""


class AlreadyExists(CurriculumError):
    """Something else has that name."""


class Aborted(CurriculumError):
    """Another call was in the way, such as a second writer of a push."""


class PermissionDenied(CurriculumError, PermissionError):
    """A key is missing or wrong, or the server may not read the source."""


class DataLoss(CurriculumError):
    """Bytes that do not match their checksum, here or on the server. They are never used."""


class Overloaded(CurriculumError):
    """The server has too much to do, or its disk or queue is full."""


class Unavailable(CurriculumError, ConnectionError):
    """Nobody answers at the address, also after all retries."""


class DeadlineExceeded(CurriculumError, TimeoutError):
    """The answer did not come in time."""


class JobFailed(CurriculumError):
    """A job ended without a version; the text has its reason."""


class ServerError(CurriculumError):
    """A status that should not occur. The server's log has the cause."""


class LocalServerError(CurriculumError):
    """The local server did not start; the text has the end of its log."""


_BY_CODE: dict[grpc.StatusCode, type[CurriculumError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.UNIMPLEMENTED: VersionMismatch,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: PermissionDenied,
    grpc.StatusCode.DATA_LOSS: DataLoss,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


def from_status(
    method: str, address: str, code: grpc.StatusCode, details: str | None, retry_after: float | None = None
) -> CurriculumError:
    """The error for a call of `method` that ended with `code`."""
    text = details or code.name.lower().replace("_", " ")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        text = f"the server does not know {method}: it is older than this client"
    error = _BY_CODE.get(code, ServerError)(f"{method} at {address}: {text}")
    error.code, error.retry_after = code, retry_after
    return error

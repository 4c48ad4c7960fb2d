"""Jobs and aliases."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from curriculum.errors import JobFailed, Overloaded, Unavailable
from curriculum.ingest.connect import Options, connected
from curriculum.ingest.parameters import request
from curriculum.ingest.progress import Bar
from curriculum.v1 import ingest_pb2 as pb

if TYPE_CHECKING:
    from typing_extensions import Unpack

_OPTIONS = frozenset(Options.__annotations__)
_ENDED = (pb.JOB_STATE_SUCCEEDED, pb.JOB_STATE_FAILED, pb.JOB_STATE_CANCELLED)

# Seconds: the server lists and checks the source before it answers.
_SUBMIT = 600.0


def submit(address: str | None, name: str, source: str, **parameters: Any) -> str:  # noqa: ANN401
    """Asks for a version of curriculum `name` from `source`, and returns the job's id.

    `source`: what a push returned, or anything that the server may read. `parameters`: those of
    `curriculum.ingest.parameters.Submission`, among them clusters, seed, by_label, normalization, score, pacing,
    initial_effective_fraction, warmup_iterations and model; and how to connect. The same request again is the same job.
    """
    options: Options = {key: parameters.pop(key) for key in _OPTIONS & parameters.keys()}  # type: ignore[assignment]
    built = request(name, source, **parameters)
    with connected(address, options) as connection:
        answer = connection.unary("IngestService/SubmitJob", built, pb.SubmitJobResponse, timeout=_SUBMIT)
    return answer.job.id


def wait(address: str | None, job: str, *, progress: bool = False, **options: Unpack[Options]) -> str:
    """Waits until the job has ended, also while its server restarts, and returns the version it built.

    `progress` shows it on standard error. Raises JobFailed with the reason, NotFound, and Unavailable when the server
    stays away longer than the connection's retries last.
    """
    bar = Bar(progress)
    last = pb.Job()
    away_since: float | None = None

    def note(answer: pb.WatchJobResponse) -> None:
        nonlocal away_since
        last.CopyFrom(answer.job)
        away_since = None
        _show(bar, answer.job)

    with connected(address, options) as connection:
        attempt = 0
        while last.state not in _ENDED:
            try:
                connection.follow("IngestService/WatchJob", pb.WatchJobRequest(id=job), pb.WatchJobResponse, note)
                attempt = 0
            except (Unavailable, Overloaded) as error:
                now = time.monotonic()
                away_since = now if away_since is None else away_since
                pause = connection.retry.pause(attempt, error)
                if now + pause > away_since + connection.retry.total:
                    raise
                time.sleep(pause)
                attempt += 1
    bar.end()
    if last.state != pb.JOB_STATE_SUCCEEDED:
        state = "was cancelled" if last.state == pb.JOB_STATE_CANCELLED else f"failed: {last.failure.reason}"
        raise JobFailed(f"job {job} {state}")
    return last.version


def promote(address: str | None, name: str, alias: str, version: str = "", **options: Unpack[Options]) -> str:
    """Makes NAME@ALIAS mean `version` (empty: the newest), and returns it. Who pinned a version is not moved."""
    built = pb.PromoteVersionRequest(curriculum=name, alias=alias, version=version)
    with connected(address, options) as connection:
        return connection.unary("IngestService/PromoteVersion", built, pb.PromoteVersionResponse).version


def roll_back(address: str | None, name: str, alias: str, **options: Unpack[Options]) -> str:
    """Makes NAME@ALIAS mean what it meant before, and returns that version."""
    built = pb.RollBackAliasRequest(curriculum=name, alias=alias)
    with connected(address, options) as connection:
        return connection.unary("IngestService/RollBackAlias", built, pb.RollBackAliasResponse).version


def _show(bar: Bar, job: pb.Job) -> None:
    stage = pb.Stage.Name(job.stage).removeprefix("STAGE_").lower()
    progress = job.progress
    rate = f"{progress.rate:,.0f}/s" if progress.rate else ""
    bar.show(f"{job.curriculum}: {progress.activity or stage}", progress.done, progress.total, rate)

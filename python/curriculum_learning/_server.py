"""A fit on a server: samples are pushed, a job clusters them, and the difficulties come back."""

from __future__ import annotations

import os
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from curriculum import Server, difficulty, find_binary, ingest, negotiation
from curriculum.connection import DEFAULT_TIMEOUT, SERVER
from curriculum.errors import LocalServerError
from curriculum.server import connect_or_start
from curriculum.v1 import curriculum_pb2 as pb
from curriculum_learning._parameters import Parameters

T = TypeVar("T", bound=Sequence[Any] | Tensor)


@dataclass(frozen=True)
class Fitted:
    """What a job made of the samples."""

    version: str
    difficulty: npt.NDArray[np.float32]
    """(N,)"""
    clusters: int
    """Number of clusters, in each class if they were fitted by class."""


class Session:
    """A server for one fit: that at `address`, that of CURRICULUM__SERVER, or a local one that ends with the session.

    The local one keeps nothing; it runs `model`, a name that `curriculum models list` shows, which it fetches first if
    need be.
    """

    def __init__(self, address: str | None, model: str | None = None) -> None:
        self._address = address or os.environ.get(SERVER)
        self._model = model
        self._push = f"curriculum_learning-{uuid.uuid4().hex}"
        self._samples = 0
        self._open = ExitStack()

    def __enter__(self) -> Session:
        """Starts the local server. LocalServerError when that fails."""
        if self._address is None:
            if self._model is not None:
                _fetch(self._model)
            # The server lets go of its folder first.
            folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="curriculum-"))
            self._address = self._open.enter_context(Server.local(Path(folder), model=self._model)).address
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the local server."""
        self._open.close()

    @property
    def samples(self) -> int:
        """Sent so far."""
        return self._samples

    def push_features(self, batches: Iterable[Tensor], labels: list[str] | None) -> str:
        """Sends rows (B, D), and returns the source to fit. ValueError when labels are not one per row."""
        named = ((ids, texts, rows.numpy()) for ids, texts, rows in self._named(batches, labels))
        return ingest.push_features(self._address, self._push, named)

    def push_images(self, batches: Iterable[list[bytes]], labels: list[str] | None) -> str:
        """Sends files of images or tensors, and returns the source to fit. ValueError when labels are not one each."""
        return ingest.push_images(self._address, self._push, self._named(batches, labels))

    def fit(self, name: str, source: str, parameters: Parameters) -> Fitted:
        """Publishes the samples that were pushed as a version of `name`. Warnings of the job are warnings here."""
        given = parameters.for_server(self._samples)
        job = ingest.submit(self._address, name, source, model=self._model, max_failed_fraction=0.0, **given)
        version = ingest.wait(self._address, job, progress=True)
        connection = connect_or_start(self._address, timeout=DEFAULT_TIMEOUT, retry=None, tls=None, api_key=None)
        try:
            request = pb.GetCurriculumRequest(curriculum=name, version=version)
            answer = connection.unary("CurriculumService/GetCurriculum", request, pb.GetCurriculumResponse)
            negotiation.check(answer.api_level, answer.server_version, connection.target.address)
            wanted = pb.GetDifficultyRequest(curriculum=name, version=version, difficulty_only=True)
            values = connection.stream("CurriculumService/GetDifficulty", wanted, difficulty.read)
        finally:
            connection.close()
        for warning in answer.version.summary.warnings:
            warnings.warn(warning, stacklevel=3)
        return Fitted(version, values, _clusters(answer.version))

    def _named(self, batches: Iterable[T], labels: list[str] | None) -> Iterator[tuple[list[str], list[str] | None, T]]:
        """Ids are row numbers."""
        for batch in batches:
            rows = range(self._samples, self._samples + len(batch))
            self._samples = rows.stop
            if labels is not None and len(labels) < rows.stop:
                raise ValueError(f"there are {len(labels)} labels, but more samples")
            yield [str(row) for row in rows], None if labels is None else labels[rows.start : rows.stop], batch
        if labels is not None and len(labels) != self._samples:
            raise ValueError(f"there are {len(labels)} labels, but {self._samples} samples")


def _clusters(version: pb.Version) -> int:
    """The number that was asked for, or found."""
    if version.parameters.clusters.HasField("fixed"):
        return version.parameters.clusters.fixed
    candidates = ((candidate.davies_bouldin, candidate.clusters) for candidate in version.summary.candidates)
    return min(candidates)[1]


def _fetch(model: str) -> None:
    """Into the cache of models. The hub is asked only for what is not there."""
    pull = [str(find_binary()), "models", "pull", model]
    for command in ([*pull, "--offline"], pull):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
    raise LocalServerError(f"model {model} cannot be fetched: {done.stderr.strip()}")

"""Servers that are restarted under their clients: no call fails, no answer changes, and who watches a job sees its end.

Clients have the settings that they have by default. Readers find a writer and two servers that only read behind one
target; jobs are the writer's alone, and so are those who watch them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import grpc
import numpy as np
import pytest

from binary import Binary
from curriculum import Curriculum, CurriculumError, Retry, ingest
from curriculum.connection import Connection
from curriculum.errors import NotFound
from curriculum.target import Target
from curriculum.v1 import curriculum_pb2 as pb
from served import ServerProcess, features
from sources import ObjectStore, SlowImages

T = TypeVar("T")

NAME = "rolled"
SAMPLES, BATCH, WINDOW = 5000, 256, 5
ITERATIONS = range(10)
READERS, WATCHERS = 45, 5
# Of the job that is watched: none ends while its servers are restarted.
IMAGES, IMAGE_SECONDS = 2000, 2.0
VERSIONS = "s3://shared/versions"
# Seconds between two calls of a client: it trains meanwhile.
STEP = 0.3
# Calls of each client after which a server counts as served from.
SETTLED = 2
PATIENCE = 120.0


@dataclass(frozen=True)
class Noted(Retry):
    """The default settings, and a note of what they had to try again."""

    codes: Counter[grpc.StatusCode | None] = field(default_factory=Counter)

    def run(self, call: Callable[[], T], **options: object) -> T:
        def noted() -> T:
            try:
                return call()
            except CurriculumError as error:
                self.codes[error.code] += 1
                raise

        return super().run(noted, **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Answers:
    """What every server must say, byte for byte."""

    version: str
    weights: list[np.ndarray]
    indices: list[np.ndarray]
    windows: list[np.ndarray]


class Clients:
    """Trainers in a loop, and those who watch a job, which goes on for as long as they are wanted."""

    def __init__(self, readers: str, writer: str, answers: Answers, images: SlowImages) -> None:
        self.address = readers
        self.writer = writer
        self.answers = answers
        self.images = images
        self.job = ingest.submit(writer, "watched", images.source, clusters=2)
        self.retry = Noted()
        self.done = [0] * READERS
        self.watched: list[str] = []
        self.failures: list[BaseException] = []
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Clients]:
        """In as many threads."""
        loops = [self._read] * READERS + [self._watch] * WATCHERS
        threads = [threading.Thread(target=self._run, args=(loop, index)) for index, loop in enumerate(loops)]
        for thread in threads:
            thread.start()
        try:
            self.settle()
            yield self
        finally:
            self._stop.set()
            self.images.hurry.set()
            for thread in threads:
                thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)

    def settle(self) -> None:
        """Until every reader has had some more answers, or a client has failed."""
        wanted, end = [done + SETTLED for done in self.done], time.monotonic() + PATIENCE
        while not self.failures and any(done < least for done, least in zip(self.done, wanted, strict=True)):
            assert time.monotonic() < end, f"calls of each client: {self.done}"
            time.sleep(STEP / 6)

    def miss(self) -> None:
        """Until a reader has found nobody, or a client has failed."""
        end = time.monotonic() + PATIENCE
        while not self.failures and not self.retry.codes:
            assert time.monotonic() < end
            time.sleep(STEP / 6)

    def _run(self, loop: Callable[[int], None], index: int) -> None:
        try:
            loop(index)
        except BaseException as error:
            self.failures.append(error)

    def _read(self, index: int) -> None:
        answers = self.answers
        with Curriculum.connect(self.address, NAME, answers.version, retry=self.retry) as curriculum:
            while not self._stop.wait(STEP):
                turn = self.done[index]
                iteration = (turn + index) % len(ITERATIONS)
                if turn % 3 == 0:
                    answer, expected = curriculum.weights(iteration), answers.weights
                elif turn % 3 == 1:
                    answer, expected = curriculum.sample_indices(iteration, BATCH, seed=7), answers.indices
                else:
                    answer, expected = curriculum.sample_indices(iteration, BATCH, window=WINDOW), answers.windows
                np.testing.assert_array_equal(answer, expected[iteration])
                self.done[index] += 1

    def _watch(self, _: int) -> None:
        version = ingest.wait(self.writer, self.job)
        assert self.images.hurry.is_set(), "the job ended before the servers had been restarted"
        self.watched.append(version)


def publish(address: str) -> Answers:
    """A version, and what its server answers before anything is restarted."""
    ids = [f"sample/{index}" for index in range(SAMPLES)]
    source = ingest.push_features(address, NAME, [(ids, None, features(SAMPLES))], total=SAMPLES)
    job = ingest.submit(address, NAME, source, clusters=4, warmup_iterations=2 * len(ITERATIONS))
    version = ingest.wait(address, job)
    with Curriculum.connect(address, NAME, version) as curriculum:
        return Answers(
            version,
            [curriculum.weights(iteration) for iteration in ITERATIONS],
            [curriculum.sample_indices(iteration, BATCH, seed=7) for iteration in ITERATIONS],
            [curriculum.sample_indices(iteration, BATCH, window=WINDOW) for iteration in ITERATIONS],
        )


def wait_for(address: str, version: str) -> None:
    """Until the server at `address` has the version."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            Curriculum.connect(address, NAME, version).close()
            return
        except NotFound:
            assert time.monotonic() < end
            time.sleep(STEP / 6)


def instances(address: str, wanted: int) -> set[str]:
    """Ids of the server processes that answer; asked for until there are as many as wanted."""
    connection = Connection(Target.parse(address, None, None))
    request = pb.GetScheduleRequest(curriculum=NAME, iterations=[0])
    found, end = set[str](), time.monotonic() + PATIENCE
    try:
        while len(found) < wanted and time.monotonic() < end:
            answer = connection.unary("CurriculumService/GetSchedule", request, pb.GetScheduleResponse)
            found.add(answer.server_instance)
            time.sleep(STEP / 6)
    finally:
        connection.close()
    return found


@pytest.fixture
def images() -> Iterator[SlowImages]:
    served = SlowImages(IMAGES, IMAGE_SECONDS)
    yield served
    served.stop()


@pytest.fixture
def store(binary: Binary) -> Iterator[ObjectStore]:
    running = ObjectStore(binary, "shared")
    yield running
    running.stop()


@pytest.fixture
def writer(binary: Binary, store: ObjectStore, images: SlowImages, tmp_path: Path) -> Iterator[ServerProcess]:
    """It publishes into the store, and may read the images."""
    (tmp_path / "writer").mkdir()
    allow = {"CURRICULUM__SOURCES__ALLOW": f'["{images.prefix}"]', "CURRICULUM__VERSIONS__URL": VERSIONS}
    server = ServerProcess(binary.path, tmp_path / "writer", store.variables | allow)
    yield server
    server.stop()


@pytest.fixture
def replicas(
    binary: Binary, store: ObjectStore, writer: ServerProcess, tmp_path: Path
) -> Iterator[list[ServerProcess]]:
    """Two, of `writer`."""
    variables = {"CURRICULUM__VERSIONS__URL": VERSIONS, "CURRICULUM__VERSIONS__READ_ONLY": "true"}
    servers = []
    try:
        for number in ("1", "2"):
            (tmp_path / number).mkdir()
            servers.append(ServerProcess(binary.path, tmp_path / number, store.variables | variables))
        yield servers
    finally:
        for server in servers:
            server.stop()


def test_servers_restarted_one_after_another_fail_no_call(
    writer: ServerProcess, replicas: list[ServerProcess], images: SlowImages
) -> None:
    answers = publish(writer.address)
    servers = [writer, *replicas]
    for server in servers:
        wait_for(server.address, answers.version)
    address = "ipv4:" + ",".join(server.address for server in servers)
    before = instances(address, len(servers))
    with Clients(address, writer.address, answers, images).running() as clients:
        for server in servers:
            server.stop()
            clients.settle()
            server.start()
            clients.settle()
    after = instances(address, len(servers))
    assert not clients.failures
    assert set(clients.retry.codes) <= {grpc.StatusCode.UNAVAILABLE}
    assert len(clients.watched) == WATCHERS and len(set(clients.watched)) == 1
    assert len(before) == len(after) == len(servers) and not before & after


def test_a_server_that_restarts_alone_is_waited_for(writer: ServerProcess, images: SlowImages) -> None:
    answers = publish(writer.address)
    with Clients(writer.address, writer.address, answers, images).running() as clients:
        writer.stop()
        clients.miss()
        writer.start()
        clients.settle()
    assert not clients.failures
    assert set(clients.retry.codes) == {grpc.StatusCode.UNAVAILABLE}
    assert len(clients.watched) == WATCHERS and len(set(clients.watched)) == 1

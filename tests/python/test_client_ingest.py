"""Pushes that break and go on, and jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from binary import Binary
from curriculum import errors, ingest
from curriculum.connection import Connection
from curriculum.ingest import messages, push
from curriculum.target import Target
from curriculum.v1 import ingest_pb2 as pb
from served import ServerProcess, features

Batch = tuple[list[str], list[str] | None, np.ndarray]


@pytest.fixture
def server(binary: Binary, tmp_path: Path) -> Iterator[ServerProcess]:
    running = ServerProcess(binary.path, tmp_path)
    yield running
    running.stop()


def batches(rows: np.ndarray, size: int, labels: bool = False) -> Iterator[Batch]:
    """Of `size` samples each."""
    for start in range(0, len(rows), size):
        ids = [f"id-{index}" for index in range(start, min(start + size, len(rows)))]
        yield ids, [f"class {len(name) % 3}" for name in ids] if labels else None, rows[start : start + size]


def unread() -> Iterator[Batch]:
    """Nobody may look."""
    raise AssertionError("batches were read")
    yield


def stands(server: ServerProcess, name: str) -> pb.PushResponse:
    """What the server has of a push."""
    connection = Connection(Target(server.address))
    return connection.unary("IngestService/GetPush", pb.GetPushRequest(push=name), pb.PushResponse)


def test_features_become_a_version(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    rows = features(500)
    source = ingest.push_features(server.address, "all", batches(rows, 128, labels=True), total=500, progress=True)
    assert source == "pushed:all" and stands(server, "all").complete
    job = ingest.submit(server.address, "mine", source, clusters=(2, 3), by_label=True, seed=7, pacing="cosine")
    version = ingest.wait(server.address, job, progress=True)
    assert len(version) == 64 and "500/500 (100 %)" in capsys.readouterr().err
    assert ingest.promote(server.address, "mine", "prod") == version
    # A push that is complete is not read again.
    with pytest.warns(UserWarning, match="'all' is complete and stays as it is"):
        assert ingest.push_features(server.address, "all", unread()) == source


def test_a_push_goes_on_where_it_broke(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "CALL_BYTES", 4096)
    rows = features(1000)

    def breaking() -> Iterator[Batch]:
        yield from list(batches(rows, 100))[:6]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest.push_features(server.address, "broken", breaking())
    there = stands(server, "broken").samples
    assert 0 < there <= 600
    sent = count_uploads(monkeypatch)
    # Other batches of the same samples.
    ingest.push_features(server.address, "broken", batches(rows, 77), total=1000)
    assert stands(server, "broken").samples == 1000
    assert min(sent) == there
    other = ([name + "x" for name in ids] for ids, _, _ in batches(rows, 100))
    again = ((ids, None, rows[:100]) for ids in other)
    with pytest.raises(KeyboardInterrupt):
        ingest.push_features(server.address, "second", breaking())
    with pytest.raises(errors.CurriculumError, match="other samples"):
        ingest.push_features(server.address, "second", again)


def count_uploads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Offsets of all messages that are sent from now on."""
    offsets: list[int] = []
    original: Callable[..., pb.PushResponse] = Connection.upload

    def upload(self: Connection, method: str, requests: Sequence[pb.PushFeaturesRequest], answer: type) -> object:
        offsets.extend(request.rows.offset for request in requests if request.HasField("rows"))
        return original(self, method, requests, answer)

    monkeypatch.setattr(Connection, "upload", upload)
    return offsets


def test_a_push_keeps_to_its_source(server: ServerProcess) -> None:
    rows = features(100)
    source = ingest.push_features(server.address, "mine", batches(rows, 100), fingerprint="one")
    assert ingest.push_features(server.address, "mine", unread(), fingerprint="one") == source
    with pytest.raises(errors.FailedPrecondition, match="'one', not of 'two'"):
        ingest.push_features(server.address, "mine", unread(), fingerprint="two")


def test_a_push_survives_kills_of_the_server(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "CALL_BYTES", 8 << 10)
    rows = features(2000)
    restarts: list[threading.Timer] = []

    def batches_with_kills() -> Iterator[Batch]:
        for number, batch in enumerate(batches(rows, 100)):
            if number in (7, 13):
                for restart in restarts:
                    restart.join()
                server.kill()
                restarts.append(threading.Timer(0.5, server.start))
                restarts[-1].start()
            yield batch

    source = ingest.push_features(server.address, "killed", batches_with_kills(), total=2000)
    for restart in restarts:
        restart.join()
    assert len(restarts) == 2 and stands(server, "killed").samples == 2000
    version = ingest.wait(server.address, ingest.submit(server.address, "mine", source, clusters=4))
    ingest.push_features(server.address, "undisturbed", batches(rows, 100))
    job = ingest.submit(server.address, "other", "pushed:undisturbed", clusters=4)
    assert ingest.wait(server.address, job) == version


def test_waiting_outlasts_a_restart(server: ServerProcess) -> None:
    ingest.push_features(server.address, "large", batches(features(3000), 1500))
    job = ingest.submit(server.address, "mine", "pushed:large", clusters=(2, 8))
    versions: list[str] = []
    waiting = threading.Thread(target=lambda: versions.append(ingest.wait(server.address, job)))
    waiting.start()
    time.sleep(0.3)
    server.kill()
    time.sleep(0.3)
    server.start()
    waiting.join(60)
    assert [len(version) for version in versions] == [64]


def test_a_job_that_fails_says_why(server: ServerProcess) -> None:
    ingest.push_features(server.address, "few", batches(features(10), 10))
    with pytest.raises((errors.JobFailed, errors.InvalidArgument), match=r"11|clusters"):
        ingest.wait(server.address, ingest.submit(server.address, "mine", "pushed:few", clusters=11))
    with pytest.raises(errors.NotFound):
        ingest.wait(server.address, "0" * 64)


def test_images_become_a_version(server: ServerProcess) -> None:
    generator = np.random.default_rng(0)
    files = []
    for index in range(6):
        image = Image.fromarray(generator.integers(0, 255, (28, 28), dtype=np.uint8))
        path = server.folder / f"{index}.png"
        image.save(path)
        files.append(path.read_bytes())
    ids = [f"{index}.png" for index in range(6)]
    source = ingest.push_images(server.address, "images", [(ids[:2], None, files[:2]), (ids[2:], None, files[2:])])
    assert stands(server, "images").samples == 6
    assert len(ingest.wait(server.address, ingest.submit(server.address, "images", source, clusters=2))) == 64


@pytest.mark.parametrize(
    ("batch", "problem"),
    [
        ((["a"], None, np.zeros((2, 3))), "1 ids came with 2 samples"),
        ((["a", "b"], ["x"], np.zeros((2, 3))), "1 labels"),
        ((["a"], None, np.zeros(3)), "shape"),
        ((["a", "b"], None, np.array([[0.0], [np.nan]])), "'b' are not finite"),
    ],
)
def test_bad_batches_are_refused(batch: Batch, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        list(messages.features(batch))


def test_large_batches_are_split() -> None:
    rows = np.zeros((1000, 700), dtype=np.float64)
    parts = list(messages.features(([str(i) for i in range(1000)], None, rows)))
    assert all(part.size <= messages.MESSAGE_BYTES for part in parts) and len(parts) == 3
    assert [name for part in parts for name in part.ids] == [str(i) for i in range(1000)]
    files = [bytes(size) for size in (400_000, 400_000, 400_000, 3 << 20, 1)]
    images = list(messages.images((list("abcde"), list("vwxyz"), files)))
    assert [list(part.ids) for part in images] == [["a", "b"], ["c"], ["d"], ["e"]]
    assert [list(part.labels or ()) for part in images] == [["v", "w"], ["x"], ["y"], ["z"]]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"pacing": "slow"}, "linear"),
        ({"feature_normalization": "maybe"}, "standard, none"),
        ({"clusters": "many"}, "clusters"),
        ({"cluster": 3}, "unknown parameters: cluster"),
        ({"clusters": 1 << 32}, "clusters 4294967296: "),
        ({"clusters": (2, 1 << 32)}, r"clusters \(2, 4294967296\): "),
        ({"min_cluster_size": 1 << 32}, "min_cluster_size 4294967296: "),
        ({"warmup_iterations": -1}, "warmup_iterations -1: "),
        ({"priority": 1 << 40}, "priority 1099511627776: "),
    ],
)
def test_unknown_parameters_are_refused(parameters: dict[str, object], problem: str) -> None:
    with pytest.raises((ValueError, TypeError), match=problem):
        ingest.submit("127.0.0.1:1", "mine", "pushed:x", **parameters)

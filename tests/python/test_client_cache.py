"""Difficulties on disk: fetched by one rank for all of a machine, and bounded in bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from curriculum import Curriculum
from curriculum.cache import DEFAULT_BYTES, DifficultyCache, size_limit
from curriculum.locks import exclusive
from fake_service import SAMPLES, FakeServer, FakeService
from served import environment

RANKS = 8
VALUES = np.linspace(0, 1, 1000, dtype=np.float32)
# A file's: the values and a header.
BYTES = 4 * len(VALUES) + 20

# Connects, waits for its sign, and wants the difficulties.
RANK = """
import sys
from curriculum import Curriculum
curriculum = Curriculum.connect(sys.argv[1], "fake")
print("ready", flush=True)
sys.stdin.readline()
print(len(curriculum.difficulty()), flush=True)
"""

# Takes the lock, forks a child that stays, and says so.
PARENT = """
import os, sys, time
from pathlib import Path
from curriculum.locks import exclusive
with exclusive(Path(sys.argv[1]), 0):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""

# Stores and loads for a second, or until something was there; whatever is there is whole.
WORKER = """
import random, sys, time
from pathlib import Path
import numpy as np
from curriculum.cache import DifficultyCache
kept = DifficultyCache(Path(sys.argv[1]), int(sys.argv[2]))
values = np.linspace(0, 1, 1000, dtype=np.float32)
end = time.monotonic() + 1
found = 0
while time.monotonic() < end or not found:
    assert time.monotonic() < end + 30
    key = random.randrange(6)
    loaded = kept.load(str(key))
    if loaded is None:
        kept.store(str(key), values + key)
    else:
        assert np.array_equal(loaded, values + key)
        found += 1
"""


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def server(service: FakeService) -> Iterator[FakeServer]:
    with FakeServer(service) as running:
        yield running


class Rank:
    """A process of a job, that has connected."""

    def __init__(self, server: FakeServer, cache: Path) -> None:
        variables = environment(CURRICULUM_CACHE=str(cache))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen([sys.executable, "-c", RANK, server.address], text=True, env=variables, **pipes)

    def ready(self) -> None:
        assert self.process.stdout is not None and self.process.stdout.readline() == "ready\n"

    def begin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> None:
        output, _ = self.process.communicate(timeout=60)
        assert output == f"{SAMPLES}\n"


def test_ranks_that_start_together_fetch_once(server: FakeServer, service: FakeService, tmp_path: Path) -> None:
    ranks = [Rank(server, tmp_path) for _ in range(RANKS)]
    for rank in ranks:
        rank.ready()
    service.delay = 0.5
    for rank in ranks:
        rank.begin()
    for rank in ranks:
        rank.end()
    assert service.calls.count("GetDifficulty") == 1
    # No lock is left, nor anything unfinished.
    assert [path.suffix for path in (tmp_path / "difficulty").iterdir()] == [".difficulty"]


def test_a_killed_holder_frees_the_others(server: FakeServer, service: FakeService, tmp_path: Path) -> None:
    first, second = Rank(server, tmp_path), Rank(server, tmp_path)
    first.ready()
    second.ready()
    service.delay = 60.0
    first.begin()
    while "GetDifficulty" not in service.calls:
        time.sleep(0.02)
    service.delay = 0.0
    second.begin()
    time.sleep(0.5)
    assert second.process.poll() is None and service.calls.count("GetDifficulty") == 1
    first.process.kill()
    first.process.communicate()
    second.end()
    assert service.calls.count("GetDifficulty") == 2


def test_a_forked_child_holds_nothing_once_its_parent_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(path)], stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        with pytest.raises(TimeoutError, match="lock"), exclusive(path, 0.1):
            pass
        parent.kill()
        parent.wait()
        with exclusive(path, 30):
            os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()
    assert not path.exists()


def test_a_holder_that_hangs_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    kept = DifficultyCache(tmp_path, DEFAULT_BYTES)
    with exclusive(tmp_path / "v.lock", 0):
        started = time.monotonic()
        with kept.filling("v", len(VALUES), 0.3):
            assert 0.2 < time.monotonic() - started < 30
        with kept.filling("other version", len(VALUES), 60):
            assert time.monotonic() - started < 30


def test_nobody_waits_for_what_will_not_be_kept(tmp_path: Path) -> None:
    kept = DifficultyCache(tmp_path, BYTES)
    started = time.monotonic()
    with exclusive(tmp_path / "v.lock", 0), kept.filling("v", len(VALUES) + 1, 60):
        assert time.monotonic() - started < 30


def test_a_file_that_cannot_be_removed_does_not_keep_others(tmp_path: Path) -> None:
    # Looks like the oldest of the files, but is none.
    folder = tmp_path / "folder.difficulty"
    (folder / "x").mkdir(parents=True)
    os.utime(folder, (1, 1))
    kept = DifficultyCache(tmp_path, 2 * BYTES + folder.stat().st_size)
    for age, key in enumerate("ab"):
        kept.store(key, VALUES)
        os.utime(kept.path(key), (1000 + age, 1000 + age))
    kept.store("c", VALUES)
    assert folder.is_dir() and kept.load("a") is None
    assert kept.load("b") is not None and kept.load("c") is not None


def test_those_used_last_stay(tmp_path: Path) -> None:
    kept = DifficultyCache(tmp_path, 3 * BYTES)
    for age, key in enumerate("abc"):
        kept.store(key, VALUES)
        os.utime(kept.path(key), (1000 + age, 1000 + age))
    assert kept.load("a") is not None
    kept.store("d", VALUES)
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "c", "d"}
    # A new one counts as used, whatever the clock was.
    future = time.time() + 9999
    for key in "acd":
        os.utime(kept.path(key), (future, future))
    kept.store("e", VALUES)
    assert kept.load("e") is not None and sum(path.stat().st_size for path in tmp_path.iterdir()) == 3 * BYTES


def test_what_is_too_large_is_not_kept_and_removes_nothing(tmp_path: Path) -> None:
    kept = DifficultyCache(tmp_path, BYTES)
    kept.store("a", VALUES)
    kept.store("b", np.append(VALUES, np.float32(1)))
    assert [path.stem for path in tmp_path.iterdir()] == ["a"]


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".old.partial").write_bytes(b"x")
    os.utime(tmp_path / ".old.partial", (1000, 1000))
    (tmp_path / ".new.partial").write_bytes(b"x")
    DifficultyCache(tmp_path, DEFAULT_BYTES).store("a", VALUES)
    assert {path.name for path in tmp_path.iterdir()} == {".new.partial", "a.difficulty"}


def test_many_processes_may_use_a_folder_that_is_too_small(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(tmp_path), str(3 * BYTES)]
    workers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) for _ in range(4)]
    for worker in workers:
        _, output = worker.communicate(timeout=60)
        assert worker.returncode == 0 and output == ""
    DifficultyCache(tmp_path, 3 * BYTES).store("last", VALUES)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3 * BYTES


def test_no_bytes_mean_no_cache(
    server: FakeServer, service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURRICULUM_CACHE", str(tmp_path))
    monkeypatch.setenv("CURRICULUM_CACHE_BYTES", "0")
    curriculum = Curriculum.connect(server.address, "fake")
    np.testing.assert_array_equal(curriculum.difficulty(), curriculum.difficulty())
    assert service.calls.count("GetDifficulty") == 2 and not list(tmp_path.iterdir())


def test_the_limit_is_a_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CURRICULUM_CACHE_BYTES", raising=False)
    assert size_limit() == DEFAULT_BYTES
    monkeypatch.setenv("CURRICULUM_CACHE_BYTES", "12")
    assert size_limit() == 12
    for text in ("10GB", "-1", "1.5"):
        monkeypatch.setenv("CURRICULUM_CACHE_BYTES", text)
        with pytest.raises(ValueError, match=f"CURRICULUM_CACHE_BYTES='{text}'"):
            size_limit()

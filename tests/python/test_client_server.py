"""The server of one's own: shared by who asks for its folder, gone after the last of them."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from binary import Binary
from curriculum import Curriculum, LocalServerError, Server, find_binary
from served import environment, publish

# Takes a server and keeps it.
USER = """
import sys, time
from curriculum import Server
server = Server.local(sys.argv[1])
print(server.address, flush=True)
time.sleep(99)
"""


@pytest.fixture(autouse=True)
def _use_the_binary(binary: Binary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURRICULUM", str(binary.path))


def pids(folder: Path) -> tuple[int, int]:
    """Of the keeper and of its server."""
    record = json.loads((folder / "server.json").read_text())
    return record["keeper"], record["server"]


def ended(pid: int, seconds: float = 20.0) -> bool:
    """Whether the process ends in time; a zombie has ended."""
    end = time.monotonic() + seconds
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.05)


def test_a_folder_has_one_server_until_its_last_user_closes(tmp_path: Path) -> None:
    first, second = Server.local(tmp_path), Server.local(tmp_path)
    assert first.address == second.address and first.data_dir == tmp_path / "data"
    _, server = pids(tmp_path)
    first.close()
    first.close()
    version = publish(second.address, "mine", 300)
    assert not ended(server, 0.3)
    second.close()
    assert ended(server, 0.2) and not (tmp_path / "server.json").exists()
    with Server.local(tmp_path) as again:
        assert Curriculum.connect(again.address, "mine").version == version


def test_it_ends_with_its_users_however_they_end(tmp_path: Path) -> None:
    users = [
        subprocess.Popen(
            [sys.executable, "-c", USER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment()
        )
        for _ in range(2)
    ]
    addresses = {user.stdout.readline() for user in users if user.stdout}
    assert len(addresses) == 1
    keeper, server = pids(tmp_path)
    users[0].kill()
    users[0].wait()
    assert not ended(server, 0.3)
    users[1].send_signal(signal.SIGKILL)
    users[1].wait()
    assert ended(server) and ended(keeper)
    for user in users:
        assert user.stdout is not None
        user.stdout.close()


def test_a_server_outlives_a_forked_child_but_not_a_killed_keeper(tmp_path: Path) -> None:
    server = Server.local(tmp_path)
    keeper, pid = pids(tmp_path)

    def child() -> None:
        server.close()
        assert Server.local(tmp_path).address == server.address

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(20)
    assert process.exitcode == 0 and not ended(pid, 0.3)
    os.kill(keeper, signal.SIGKILL)
    assert ended(pid)
    with Server.local(tmp_path) as again:
        assert pids(tmp_path)[1] != pid and again.address
    server.close()


def test_a_record_without_its_keeper_says_nothing(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        record = {"address": "127.0.0.1:1", "server": stranger.pid, "keeper": stranger.pid, "flags": []}
        (tmp_path / "server.json").write_text(json.dumps(record))
        with Server.local(tmp_path) as server:
            assert server.address != "http://127.0.0.1:1"
            publish(server.address, "mine", 300)
            # As if the keeper had been killed, and its number given to another.
            os.kill(pids(tmp_path)[0], signal.SIGKILL)
            assert ended(pids(tmp_path)[1])
            (tmp_path / "server.json").write_text(json.dumps(record))
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_whoever_closes_last_stops_the_server_that_runs_now(tmp_path: Path) -> None:
    first = Server.local(tmp_path)
    keeper, server = pids(tmp_path)
    os.kill(keeper, signal.SIGKILL)
    assert ended(server)
    second = Server.local(tmp_path)
    _, server = pids(tmp_path)
    second.close()
    assert not ended(server, 0.3)
    first.close()
    assert ended(server, 0.01)


def test_a_folder_may_be_removed_under_its_server(tmp_path: Path) -> None:
    server = Server.local(tmp_path / "gone")
    keeper, pid = pids(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    server.close()
    assert ended(keeper) and ended(pid)


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="no-such-model"):
        Server.local(tmp_path, model="no-such-model")
    with Server.local(tmp_path, arguments=["--threads", "1"]), pytest.raises(LocalServerError, match="--threads"):
        Server.local(tmp_path, arguments=["--threads", "2"])


def test_without_an_address_a_server_starts_in_the_cache(tmp_path: Path) -> None:
    code = (
        "from curriculum import Curriculum, errors\n"
        "try:\n    Curriculum.connect(name='nothing')\n"
        "except errors.NotFound as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(CURRICULUM_CACHE=str(tmp_path))
    )
    assert "nothing" in done.stdout, done.stderr
    end = time.monotonic() + 20
    while (tmp_path / "server/server.json").exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_local_server_is_plain_text_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURRICULUM_TLS_CA", str(tmp_path / "ca.pem"))
    with Server.local(tmp_path / "own") as server:
        publish(server.address, "mine", 300)
        assert Curriculum.connect(server.address, "mine").samples == 300


def test_a_binary_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CURRICULUM", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_binary()

"""Jobs of several processes against one server, which is killed under them, or they are."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from binary import Binary
from curriculum import Curriculum
from served import ServerProcess, environment, free_port, publish

SAMPLES = 2000
GLOBAL_BATCH = 32


@pytest.fixture
def server(binary: Binary, tmp_path: Path) -> Iterator[ServerProcess]:
    running = ServerProcess(binary.path, tmp_path)
    publish(running.address, "clouds", SAMPLES)
    yield running
    running.stop()


def launch(server: ServerProcess, folder: Path, ranks: int, steps: int, dies_after: int = 0) -> subprocess.Popen[str]:
    """torchrun, as on one node of a cluster."""
    folder.mkdir(exist_ok=True)
    script = str(Path(__file__).with_name("train_rank.py"))
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={ranks}", "--max-restarts=0"]
    command += ["--master-addr=127.0.0.1", f"--master-port={free_port()}", script, server.address, str(folder)]
    command += [str(steps), str(GLOBAL_BATCH), str(dies_after)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())


def union(folder: Path, ranks: int) -> dict[int, list[int]]:
    """The indices of all ranks by step, in the order of the global sequence; every step once on every rank."""
    logs = [(folder / f"rank-{rank}").read_text().splitlines() for rank in range(ranks)]
    rows = [[list(map(int, line.split())) for line in log] for log in logs]
    steps = [[row[0] for row in log] for log in rows]
    assert all(log == steps[0] for log in steps) and len(set(steps[0])) == len(steps[0])
    assert {len(row) for log in rows for row in log} == {1 + GLOBAL_BATCH // ranks}
    return {own[0][0]: np.array([row[1:] for row in own]).T.ravel().tolist() for own in zip(*rows, strict=True)}


def sequence(server: ServerProcess, steps: int) -> dict[int, list[int]]:
    """What one rank draws."""
    rows = Curriculum.connect(server.address, "clouds").sample_indices(0, GLOBAL_BATCH, seed=11, iterations=steps)
    return dict(enumerate(rows.tolist()))


def wait_for_step(folder: Path, step: int) -> None:
    """Until rank 0 has written it."""
    end = time.monotonic() + 120
    log = folder / "rank-0"
    while not log.exists() or log.read_text().count("\n") <= step:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_eight_ranks_outlast_two_kills_of_the_server(server: ServerProcess, tmp_path: Path) -> None:
    expected = sequence(server, 200)
    folder = tmp_path / "job"
    job = launch(server, folder, ranks=8, steps=200)
    for step in (50, 120):
        wait_for_step(folder, step)
        server.kill()
        time.sleep(2.5)
        server.start()
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 0, output
    assert union(folder, 8) == expected
    # They did miss it.
    assert all(float((folder / f"waited-{rank}").read_text()) > 1 for rank in range(8))


def test_killed_ranks_go_on_as_fewer(server: ServerProcess, tmp_path: Path) -> None:
    expected = sequence(server, 130)
    folder = tmp_path / "job"
    job = launch(server, folder, ranks=8, steps=130, dies_after=97)
    job.communicate(timeout=120)
    assert job.returncode != 0
    before = union(folder, 8)
    assert before == {step: expected[step] for step in range(97)}
    for log in folder.glob("rank-*"):
        log.unlink()
    job = launch(server, folder, ranks=4, steps=130)
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 0, output
    assert before | union(folder, 4) == expected

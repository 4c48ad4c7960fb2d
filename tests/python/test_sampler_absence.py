"""A server that is away or hangs, seen from the training loop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from binary import Binary
from curriculum import Curriculum, CurriculumError, Retry, errors
from curriculum.torch import CurriculumBatchSampler
from served import ServerProcess, environment, publish

BATCH = 20

# Leaves an iterator in the middle, its thread at work, and ends. The server may have gone before.
LEAVES = """
import os, signal, sys, time
from curriculum import Curriculum
from curriculum.torch import CurriculumBatchSampler
curriculum = Curriculum.connect(sys.argv[1], "clouds")
batches = iter(CurriculumBatchSampler(curriculum, 20, prefetch=10**6, iterations_per_epoch=10**6))
next(batches)
if len(sys.argv) > 2:
    os.kill(int(sys.argv[2]), signal.SIGKILL)
    time.sleep(0.3)
print("left")
"""


@pytest.fixture
def server(binary: Binary, tmp_path: Path) -> Iterator[ServerProcess]:
    running = ServerProcess(binary.path, tmp_path)
    publish(running.address, "clouds", 500)
    yield running
    running.stop()


def test_an_absence_beyond_patience_is_an_error_that_passes(server: ServerProcess) -> None:
    curriculum = Curriculum.connect(server.address, "clouds")
    expected = curriculum.sample_indices(0, BATCH, iterations=25).tolist()
    batches = iter(CurriculumBatchSampler(curriculum, BATCH, prefetch=2, patience=0.7))
    taken = list(islice(batches, 3))
    server.kill()
    with pytest.raises(errors.Unavailable, match=server.address):
        while True:
            taken.append(next(batches))
    server.start()
    # Until the connection is tried again, which may take longer than the sampler's patience.
    curriculum.schedule([0])
    # Who catches it may go on: nothing was lost.
    assert taken + list(batches) == expected


def test_weights_outlast_a_restart(server: ServerProcess) -> None:
    missed = threading.Event()

    class Noted(Retry):
        def pause(self, attempt: int, error: CurriculumError) -> float:
            missed.set()
            return super().pause(attempt, error)

    curriculum = Curriculum.connect(server.address, "clouds", retry=Noted())
    before = curriculum.weights(3)
    restart = threading.Thread(target=lambda: (time.sleep(0.2), server.kill(), missed.wait(30), server.start()))
    restart.start()
    while restart.is_alive():
        # Never the weights of the call before.
        np.testing.assert_array_equal(curriculum.weights(3, end=400), before[:400])
        np.testing.assert_array_equal(curriculum.weights(3, start=100), before[100:])
    assert missed.is_set()


def test_a_server_that_hangs_is_waited_for(server: ServerProcess) -> None:
    curriculum = Curriculum.connect(server.address, "clouds")
    expected = curriculum.sample_indices(0, BATCH, iterations=25).tolist()
    # Only now: a sampler tries again what took too long, other calls do not.
    curriculum.source().connection.timeout = 0.3
    batches = iter(CurriculumBatchSampler(curriculum, BATCH, prefetch=2))
    taken = list(islice(batches, 3))
    started = time.monotonic()
    os.kill(server.pid, signal.SIGSTOP)
    threading.Timer(1.5, os.kill, (server.pid, signal.SIGCONT)).start()
    assert taken + list(batches) == expected
    assert time.monotonic() - started > 1


@pytest.mark.parametrize("gone", [False, True], ids=["server there", "server gone"])
def test_a_program_ends_whatever_its_sampler_does(server: ServerProcess, gone: bool) -> None:
    command = [sys.executable, "-X", "dev", "-W", "ignore", "-c", LEAVES, server.address]
    started = time.monotonic()
    done = subprocess.run(
        [*command, *([str(server.pid)] if gone else [])], capture_output=True, text=True, timeout=60, env=environment()
    )
    assert (done.returncode, done.stdout) == (0, "left\n"), done.stderr
    assert "Traceback" not in done.stderr and time.monotonic() - started < 30

"""From the start of the process to ready, on a data folder of many versions.

    PYTHONPATH=python python tests/bench/ready.py target/release/curriculum --versions 1 10 100

Versions of 1,281,167 samples each are published first, which takes some seconds for each. Then the server
is started several times for every number of versions: with its files in memory, and after the system was
asked to drop them. Ready is the first 200 of /readyz; then one client asks for the weights of the newest
version. Prints a table, and a JSON object for each row. Needs NumPy and grpcio; Linux only.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np

from curriculum import Curriculum, ingest
from process import MIB, held
from serving import serving

CURRICULUM = "bench"
WARMUP_ITERATIONS = 100_000
POLL_SECONDS = 0.001
PATIENCE_SECONDS = 120.0


def publish(server, file, seeds):
    for seed in seeds:
        job = ingest.submit(
            server.address, CURRICULUM, str(file), clusters=20, seed=seed, warmup_iterations=WARMUP_ITERATIONS
        )
        ingest.wait(server.address, job)


def drop_files(folder):
    """Has the system forget what it holds of the folder's files in memory."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def is_ready(url):
    try:
        return urllib.request.urlopen(url).status == 200
    except urllib.error.HTTPError:
        return False


def start(binary, folder):
    """Milliseconds until ready, milliseconds of the first weights, resident MiB when ready."""
    started = time.perf_counter()
    with serving(binary, folder, side_port=True, settings=[("grpc.drain_delay_seconds", 0)]) as server:
        ready = server.metrics.replace("/metrics", "/readyz")
        while not is_ready(ready):
            if time.perf_counter() - started > PATIENCE_SECONDS:
                raise SystemExit((folder / "server.log").read_text())
            time.sleep(POLL_SECONDS)
        open_for = time.perf_counter() - started
        memory = held(server.pid).resident_mib
        with Curriculum.connect(server.address, CURRICULUM) as curriculum:
            asked = time.perf_counter()
            curriculum.weights(WARMUP_ITERATIONS // 3)
            first = time.perf_counter() - asked
    return 1e3 * open_for, 1e3 * first, memory


def bytes_of(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=Path)
    parser.add_argument("--samples", type=int, default=1_281_167)
    parser.add_argument("--versions", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--starts", type=int, default=5, help="of each kind; the median is shown")
    arguments = parser.parse_args()
    row_of = "{:>8} {:>10} {:<10} {:>10} {:>8} {:>12} {:>7}".format
    print(row_of("versions", "data, MiB", "files", "ready, ms", "most", "weights, ms", "MiB"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "features.npy"
        np.save(file, np.random.default_rng(0).standard_normal((arguments.samples, 8), dtype=np.float32))
        published = 0
        for versions in sorted(arguments.versions):
            with serving(arguments.binary, folder, side_port=True) as server:
                publish(server, file, range(published, versions))
            published = versions
            size = bytes_of(folder / "data") / MIB
            for files in ("in memory", "dropped"):
                rows = []
                for _ in range(arguments.starts):
                    if files == "dropped":
                        drop_files(folder / "data")
                    rows.append(start(arguments.binary, folder))
                ready, weights, memory = (statistics.median(column) for column in zip(*rows, strict=True))
                most = max(row[0] for row in rows)
                figures = (f"{value:.1f}" for value in (ready, most, weights, memory))
                print(row_of(versions, f"{size:,.0f}", files, *figures))
                row = {"bench": "ready", "versions": versions, "samples": arguments.samples, "files": files}
                print(json.dumps(row | {"ready_ms": ready, "first_weights_ms": weights, "resident_mib": memory}))


if __name__ == "__main__":
    main()

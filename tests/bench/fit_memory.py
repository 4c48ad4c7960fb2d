"""Peak anonymous memory and time of `curriculum fit` on features that are larger than it.

    python tests/bench/fit_memory.py target/release/curriculum --rows 10000000 --clusters 20

writes a float16 mixture of Gaussians to a temporary .npy (768 bytes a row at 384 dimensions), fits
it, and removes it. Anonymous memory is RssAnon of /proc/PID/status, sampled: pages of the mapped
file come and go at the system's will and are not counted. Needs NumPy; Linux only.
"""

import argparse
import json
import pathlib
import re
import subprocess
import tempfile
import time

import numpy as np

SAMPLE_SECONDS = 0.02
BLOCK = 100_000
DISTINCT_BLOCKS = 10


def write_features(path, rows, dimension, components):
    """A mixture; rows repeat after a million, which no clustering notices."""
    generator = np.random.default_rng(1)
    centres = generator.standard_normal((components, dimension), dtype=np.float32)
    blocks = []
    out = np.lib.format.open_memmap(path, mode="w+", dtype="<f2", shape=(rows, dimension))
    for number, start in enumerate(range(0, rows, BLOCK)):
        if number < DISTINCT_BLOCKS:
            of_row = generator.integers(components, size=BLOCK)
            noise = generator.standard_normal((BLOCK, dimension), dtype=np.float32)
            blocks.append((centres[of_row] + noise).astype(np.float16))
        end = min(rows, start + BLOCK)
        out[start:end] = blocks[number % DISTINCT_BLOCKS][: end - start]
    out.flush()


def anonymous_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def measure(command):
    """Standard output, peak of anonymous memory in bytes, seconds."""
    started, peak = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, anonymous_bytes(process.pid))
            time.sleep(SAMPLE_SECONDS)
        output = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return output, peak, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--components", type=int, default=100)
    parser.add_argument("--clusters", default="20")
    parser.add_argument("--folder", help="for the features [default: the system's]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        features = pathlib.Path(folder) / "features.npy"
        write_features(features, arguments.rows, arguments.dimension, arguments.components)
        command = [arguments.binary, "fit", str(features), "--clusters", arguments.clusters]
        command += ["--out", str(features.with_suffix(".npz")), "--json"]
        output, peak, seconds = measure(command)
    result = json.loads(output.splitlines()[-1])
    result.pop("curve")
    print(json.dumps({"peak_anonymous_mib": peak >> 20, "wall_seconds": round(seconds, 2)} | result))


if __name__ == "__main__":
    main()

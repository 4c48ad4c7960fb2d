"""A stand-in for the binary on a machine with a GPU, to test the GPU script where there is none.

Features depend on the image's path alone. The device's memory is a number in the file FAKE_MEMORY, in MiB, which
the stand-in for nvidia-smi prints; what it printed last is in the file with `.seen` behind its name. FAKE_FAULT names
what goes wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import struct
import sys
import time
import zlib
from pathlib import Path

FAULT = os.environ.get("FAKE_FAULT", "")
MEMORY = Path(os.environ["FAKE_MEMORY"])
SEEN = MEMORY.with_suffix(".seen")
WIDTH = 16


def take(mebibytes: int) -> None:
    """Takes device memory, or gives it back."""
    unfinished = MEMORY.with_suffix(".unfinished")
    unfinished.write_text(str(int(MEMORY.read_text()) + mebibytes))
    unfinished.replace(MEMORY)


def use(mebibytes: int, left: int) -> None:
    """Takes it until that was seen; some may be left."""
    take(mebibytes)
    end = time.monotonic() + 60
    while not SEEN.exists() or SEEN.read_text() != MEMORY.read_text():
        assert time.monotonic() < end
        time.sleep(0.005)
    take(left - mebibytes)


def normal(seed: int) -> list[float]:
    """One row of features."""
    generator = random.Random(seed)
    return [generator.gauss() for _ in range(WIDTH)]


def write_npy(file: Path, rows: list[list[float]], kind: str) -> None:
    """A `.npy` file of f32 (`f`) or f16 (`e`), without numpy, whose import takes longer than all else here."""
    description = {"descr": f"<f{struct.calcsize(kind)}", "fortran_order": False, "shape": (len(rows), WIDTH)}
    header = f"{description}".ljust(117) + "\n"
    values = [x for row in rows for x in row]
    packed = struct.pack(f"<{len(values)}{kind}", *values)
    file.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + packed)


def extract(options: argparse.Namespace) -> None:
    """Writes features and prints what the binary would."""
    on_device = options.execution_provider != "cpu"
    libraries = Path(os.environ["ORT_DYLIB_PATH"]).parent
    if on_device and not (libraries / "libonnxruntime_providers_cuda.so").exists():
        if FAULT != "falls back":
            sys.exit(print("error: CUDA cannot be used: no provider library", file=sys.stderr) or 2)
        on_device = False
    lines = [json.loads(line) for line in options.source.read_text().splitlines()]
    seeds = [0 if FAULT == "all alike" else zlib.crc32(line["path"].encode()) for line in lines]
    rows = [normal(seed) for seed in seeds]
    batch = options.batch_size or 64
    if on_device:
        use(300, 100 if FAULT == "leaks" else 0)
        if options.gpu_memory_limit is not None and FAULT != "keeps its batch":
            batch = 32
        if FAULT == "drifts":
            rows = [[x + 0.05 * noise for x, noise in zip(row, normal(1), strict=True)] for row in rows]
    write_npy(options.out, rows, {"f32": "f", "f16": "e"}[options.dtype])
    here, there = ("CUDAExecutionProvider", "CPUExecutionProvider")
    nodes = {here: 3, there: 100} if FAULT == "runs on the CPU" else {here: 100, there: 3}
    said = {"samples": len(lines), "failed": 0, "dimension": WIDTH, "seconds": {"extract": 1.0}, "batch_size": batch}
    said |= {"provider": options.execution_provider, "nodes_by_provider": nodes}
    said |= {"images_per_second": 800.0 if FAULT == "is slow" else 950.0, "bare_images_per_second": 1000.0}
    print(json.dumps(said))


def serve() -> None:
    """Until SIGTERM."""
    take(300)
    print("listening on http://127.0.0.1:1", flush=True)
    signal.sigwait({signal.SIGTERM})
    take(-300)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--execution-provider", default="cpu")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--gpu-memory-limit", type=int)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    options, _ = parser.parse_known_args()
    if options.command == "extract":
        extract(options)
    elif options.command == "serve":
        serve()
    else:
        use(1000, {"keeps a job's memory": 900, "grows": 120}.get(FAULT, 50 if MEMORY.read_text() == "800" else 0))


if __name__ == "__main__":
    sys.exit(print("curriculum-cli 0.0.0") if sys.argv[1:] == ["--version"] else main())

"""The Python client and its sampler beside raw gRPC calls, from Python and in Rust, and torch.multinomial.

    PYTHONPATH=python python tests/bench/python_client.py target/release/curriculum \\
        --tonic "cargo bench --bench trainers -- stream"

One server on loopback holds 1,281,167 samples. Weights arrive as one numpy array; the raw call
receives as many bytes, in messages of the same size, from a server in C++ (that of grpcio) and
drops them, and so does tonic at both ends, in a process of its own before and after. The sampler's
wait is what a training loop loses per step when a step takes 100 ms.
"""

import argparse
import json
import multiprocessing
import shlex
import subprocess
import tempfile
import time
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import torch

from curriculum import Curriculum, ingest
from curriculum.torch import CurriculumBatchSampler
from serving import serving

SAMPLES = 1_281_167
CURRICULUM = "bench"
WARMUP_ITERATIONS = 100_000
MESSAGE = 1 << 20
BATCH = 4096


def publish(address, folder):
    """Publishes SAMPLES rows of normal features."""
    file = folder / "features.npy"
    np.save(file, np.random.default_rng(0).normal(size=(SAMPLES, 8)).astype(np.float32))
    job = ingest.submit(address, CURRICULUM, str(file), clusters=20, warmup_iterations=WARMUP_ITERATIONS)
    ingest.wait(address, job)


def raw_server(port):
    """Answers any call with the bytes of SAMPLES floats; sends its port. Runs in a process of its own."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            if details.method == "/raw/Stream":
                return grpc.unary_stream_rpc_method_handler(lambda request, context: iter(messages))
            return grpc.unary_unary_rpc_method_handler(lambda request, context: small)

    whole = bytes(4 * SAMPLES)
    messages = [whole[start : start + MESSAGE] for start in range(0, len(whole), MESSAGE)]
    small = bytes(4 * BATCH)
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=(Handler(),))
    port.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    server.wait_for_termination()


@contextmanager
def raw_channel():
    """A channel to the raw server."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=raw_server, args=(there,), daemon=True)
    process.start()
    with grpc.insecure_channel(f"127.0.0.1:{here.recv()}") as channel:
        yield channel
    process.terminate()
    process.join()


def milliseconds(call, times, warm_up=3):
    """Of each call; it gets its number."""
    for index in range(warm_up):
        call(index)
    measured = np.empty(times)
    for index in range(times):
        started = time.perf_counter()
        call(warm_up + index)
        measured[index] = 1e3 * (time.perf_counter() - started)
    return measured


def show(name, measured, raw=None, tonic=None):
    """`raw`: times of what it is compared with; `tonic`: the 50th percentile of the other."""
    p50, p99 = np.percentile(measured, (50, 99))
    ratio = "" if raw is None else f"{p50 / np.percentile(raw, 50):>9.2f}"
    print(f"{name:<52} {p50:>9.3f} {p99:>9.3f} {ratio}{f'{p50 / tonic:>9.2f}' if tonic else ''}", flush=True)


def bare_tonic(command):
    """The 50th and 99th percentile that `command` prints in its last line."""
    done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    return figures["p50_ms"], figures["p99_ms"]


def measure_weights(curriculum, channel, calls, command):
    """GetWeights at fresh iterations, raw calls in between."""
    stream = channel.unary_stream("/raw/Stream")
    tonic = [bare_tonic(command)] if command else []
    raw = milliseconds(lambda index: sum(map(len, stream(b""))), calls)
    kinds = {encoding: [] for encoding in ("f32", "f16", "u16")}
    for encoding, measured in kinds.items():
        measured.extend(milliseconds(lambda index: curriculum.weights(index, encoding=encoding), calls))  # noqa: B023
    raw = np.concatenate([raw, milliseconds(lambda index: sum(map(len, stream(b""))), calls)])
    tonic += [bare_tonic(command)] if command else []
    p50 = np.mean([run[0] for run in tonic]) if tonic else None
    for run in tonic:
        print(f"{'raw stream of as many bytes, tonic both ends':<52} {run[0]:>9.3f} {run[1]:>9.3f}")
    show("raw stream of as many bytes, Python both ends", raw, raw, p50)
    for encoding, measured in kinds.items():
        show(f"weights to numpy, {encoding}", measured, raw, p50)
    same = milliseconds(lambda index: curriculum.weights(WARMUP_ITERATIONS), calls)
    show("weights that did not change", same, raw, p50)
    local = curriculum.local()
    show("weights computed in the client", milliseconds(local.weights, calls), raw, p50)


def measure_indices(curriculum, channel, calls):
    """One call after the other, from one thread."""
    unary = channel.unary_unary("/raw/Unary")
    raw = milliseconds(lambda index: unary(b""), calls)
    show(f"raw unary call, {4 * BATCH} bytes, Python both ends", raw, raw)
    for batch in (256, BATCH):
        measured = milliseconds(lambda index: curriculum.sample_indices(index, batch), calls)  # noqa: B023
        show(f"sample_indices of {batch}, fresh iteration", measured, raw)
        print(f"{'':<4}{1e3 / measured.mean():,.0f} requests/s from one thread")
        print(f"{'':<4}{concurrent(curriculum, batch, calls):,.0f} requests/s from 8 threads")
    weights = torch.from_numpy(curriculum.weights(0).copy())
    drawn = milliseconds(lambda index: torch.multinomial(weights, BATCH, replacement=True), 20)
    show(f"torch.multinomial of {BATCH}, in process", drawn, raw)


def concurrent(curriculum, batch, calls):
    """Requests a second."""
    with futures.ThreadPoolExecutor(8) as pool:
        started = time.perf_counter()
        list(pool.map(lambda index: curriculum.sample_indices(index, batch), range(calls)))
        return calls / (time.perf_counter() - started)


def measure_waiting(curriculum, steps):
    """What a training loop waits for its batch."""
    for pause in (0.1, 0.01):
        sampler = CurriculumBatchSampler(curriculum, BATCH, iterations_per_epoch=steps + 1)
        waits = []
        batches = iter(sampler)
        for _ in range(steps):
            started = time.perf_counter()
            next(batches)
            waits.append(1e3 * (time.perf_counter() - started))
            time.sleep(pause)
        show(f"sampler's wait, {BATCH} a batch, {1e3 * pause:.0f} ms steps", np.array(waits[1:]))
        print(f"{'':<4}first batch {waits[0]:.2f} ms, longest after it {max(waits[1:]):.2f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--calls", type=int, default=50, help="of each kind; indices 20 times as many")
    parser.add_argument("--tonic", metavar="COMMAND", help="prints what tonic takes for a bare stream, as JSON")
    parser.add_argument("--steps", type=int, default=300, help="of the sampler's training loop")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(arguments.binary, folder) as server, raw_channel() as channel:
            publish(server.address, folder)
            with Curriculum.connect(server.address, CURRICULUM) as curriculum:
                print(f"{f'{SAMPLES:,} samples; ms':<52} {'p50':>9} {'p99':>9} {'x raw':>9} {'x tonic':>8}")
                measure_weights(curriculum, channel, arguments.calls, arguments.tonic)
                measure_indices(curriculum, channel, 20 * arguments.calls)
                measure_waiting(curriculum, arguments.steps)


if __name__ == "__main__":
    main()

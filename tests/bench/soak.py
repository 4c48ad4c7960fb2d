"""A server under a mixed load for minutes: memory, descriptors and threads must not grow, no call may fail.

    PYTHONPATH=python python tests/bench/soak.py target/release/curriculum --seconds 600 --out soak.svg

The server has TLS and keys, whose files are replaced twice a minute. The load (soak_load.py) is what
trainers, pipelines and monitoring do, connections and calls that are given up among it. Each second the
server's /proc is read. Caches are filled first; after a minute more, the first minute is compared with
the last one; a short run is cut in three instead. The bounds are below. Ends with 1 when one is broken
or a call failed. Linux only.
"""

import argparse
import multiprocessing
import os
import secrets
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import trustme

import plot
import soak_load
from curriculum import Curriculum, ingest, tls
from process import held
from serving import serving

WARM_UP = 60.0
MINUTE = 60.0
# Seconds that the load may take to end, and that the server gets to close what it left.
PATIENCE, REST = 1.5 * soak_load.JOB_DEADLINE, 15.0
# What may be added between the first minute and the last, and to the descriptors between before the load and after it.
MORE_MEMORY, MORE_MEMORY_MIB = 0.10, 8.0
MORE_DESCRIPTORS, MORE_THREADS, MORE_AT_REST = 16, 16, 4
SMOOTH = 5
# Seconds between two certificates, and two lists of keys.
ROTATION = 30.0
# Small, so that they are full soon, and things are thrown out of them all the time.
CACHE_BYTES = 24 << 20
SETTINGS = (
    ("storage.cache_bytes", CACHE_BYTES),
    ("storage.weights_cache_bytes", 8 << 20),
    ("storage.keep_versions", 2),
)


def publish(address, folder, samples):
    """The curriculum that the load reads."""
    file = folder / "features.npy"
    values = np.random.default_rng(0).normal(size=(samples, soak_load.DIMENSION))
    np.save(file, values.astype(np.float32))
    warmup = soak_load.WARMUP_ITERATIONS
    job = ingest.submit(address, soak_load.CURRICULUM, str(file), clusters=20, warmup_iterations=warmup)
    ingest.wait(address, job)


def fill(address):
    """Asks for more windows, of 4 bytes a draw, than the cache has room for."""
    window, batch = soak_load.WINDOW, soak_load.BATCH
    with Curriculum.connect(address, soak_load.CURRICULUM) as curriculum:
        for number in range(1, CACHE_BYTES // (4 * window * batch) + 2):
            curriculum.sample_indices(number * window, batch, window=window, seed=1)


class Secrets:
    """Files of a server's certificate and keys, and what its clients need, in the environment of this process."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = trustme.CA()
        self.key = secrets.token_hex(32)
        self.authority.cert_pem.write_to_path(folder / "ca.pem")
        self.replace()
        os.environ |= {tls.CA: str(folder / "ca.pem"), tls.API_KEY: self.key}

    def settings(self):
        files = {"tls.cert_file": "tls.crt", "tls.key_file": "tls.key", "auth.write_keys_file": "write.keys"}
        return [(key, self.folder / file) for key, file in files.items()]

    def replace(self):
        """A new certificate, and the clients' key beside one that nobody has."""
        issued = self.authority.issue_cert("127.0.0.1")
        files = {
            "tls.crt": issued.cert_chain_pems[0].bytes(),
            "tls.key": issued.private_key_pem.bytes(),
            "write.keys": f"{secrets.token_hex(32)}\n{self.key}\n".encode(),
        }
        for file, content in files.items():
            new = self.folder / f"{file}.new"
            new.write_bytes(content)
            new.rename(self.folder / file)

    @contextmanager
    def rotating(self):
        """Replaces them time and again in the block."""
        stop = threading.Event()

        def rotate():
            while not stop.wait(ROTATION):
                self.replace()

        thread = threading.Thread(target=rotate)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def observe(server, samples, seconds):
    """Moments, what the server held and calls until then at each; and what the load reports."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    total = context.Value("Q", lock=False)
    arguments = (server.address, server.metrics, samples, seconds, total, there)
    process = context.Process(target=soak_load.main, args=arguments)
    process.start()
    started, moments, holdings, calls = time.monotonic(), [], [], []
    while not here.poll() and process.is_alive():
        moments.append(time.monotonic() - started)
        if moments[-1] > seconds + PATIENCE:
            process.kill()
            break
        holdings.append(held(server.pid))
        calls.append(total.value)
        time.sleep(max(0.0, started + len(moments) - time.monotonic()))
    if not here.poll():
        raise SystemExit("the load did not end by itself")
    report = here.recv()
    process.join()
    return moments[: len(holdings)], holdings, calls, report


def compare(moments, holdings, last, before, after):
    """Prints a line for each measure up to the moment `last`; the names of those that grew too much."""
    warm_up = min(WARM_UP, last / 3)
    minute = min(MINUTE, (last - warm_up) / 2)
    at = np.array(moments)
    measured = (at >= warm_up) & (at <= last)
    first, end = measured & (at < warm_up + minute), measured & (at > last - minute)
    print(f"means of {minute:.0f} s, the first after {warm_up:.0f} s of warm-up and the last of {last:.0f} s")
    print(f"{'':<24} {'first':>10} {'last':>10} {'slope/h':>10} {'most':>10}   bound")
    grown = []
    for name, field, bound in (
        ("resident memory, MiB", "resident_mib", lambda was: was * (1 + MORE_MEMORY) + MORE_MEMORY_MIB),
        ("of it anonymous, MiB", "anonymous_mib", lambda was: was * (1 + MORE_MEMORY) + MORE_MEMORY_MIB),
        ("open descriptors", "descriptors", lambda was: was + MORE_DESCRIPTORS),
        ("threads", "threads", lambda was: was + MORE_THREADS),
    ):
        values = curve(holdings, field)
        was, now = values[first].mean(), values[end].mean()
        slope = 3600 * np.polyfit(at[measured], values[measured], 1)[0]
        kept = now <= bound(was)
        row = f"{name:<24} {was:>10.1f} {now:>10.1f} {slope:>10.1f} {values.max():>10.1f}"
        print(f"{row}   {verdict(kept)} {bound(was):.1f}")
        grown += [] if kept else [name]
    more = after.descriptors - before.descriptors
    kept = more <= MORE_AT_REST
    print(
        f"descriptors before the load {before.descriptors}, {REST:.0f} s after it {after.descriptors}: "
        f"{verdict(kept)} {before.descriptors + MORE_AT_REST}"
    )
    return grown if kept else [*grown, "descriptors at rest"]


def verdict(kept):
    return "within" if kept else "BEYOND"


def show_calls(counts, seconds):
    """Prints calls by method and code."""
    print(f"\n{'calls':<28} {'total':>10} {'a second':>10}   by code")
    for method in sorted({method for method, _ in counts}):
        codes = {code: count for (of, code), count in sorted(counts.items()) if of == method}
        number = sum(codes.values())
        listed = ", ".join(f"{code} {count:,}" for code, count in codes.items())
        print(f"{method:<28} {number:>10,} {number / seconds:>10.1f}   {listed}")


def curve(holdings, field):
    return np.array([getattr(holding, field) for holding in holdings], dtype=float)


def draw(file, moments, holdings, calls):
    """Writes the plot."""
    memory = {"resident": curve(holdings, "resident_mib"), "anonymous": curve(holdings, "anonymous_mib")}
    panels = [
        plot.Panel("memory, MiB", memory),
        plot.Panel("open descriptors", {"": curve(holdings, "descriptors")}),
        plot.Panel("threads", {"": curve(holdings, "threads")}),
        plot.Panel("processors in use", {"": rates(moments, curve(holdings, "seconds"))}),
        plot.Panel("calls a second", {"": rates(moments, np.array(calls, dtype=float))}),
    ]
    plot.write(file, f"curriculum serve under a mixed load, {moments[-1]:.0f} s", moments, panels)


def rates(moments, counted):
    """How fast a count grew over the last SMOOTH moments."""
    before = np.maximum(np.arange(len(counted)) - SMOOTH, 0)
    passed = np.array(moments) - np.array(moments)[before]
    return (counted - counted[before]) / np.maximum(passed, 1e-9)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=Path)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--samples", type=int, default=300_000, help="of the curriculum that is read")
    parser.add_argument("--out", type=Path, default=Path("soak.svg"), help="the plot")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = Secrets(folder)
        settings = (*SETTINGS, *own.settings())
        with own.rotating(), serving(arguments.binary, folder, side_port=True, settings=settings) as server:
            publish(server.address, folder, arguments.samples)
            fill(server.address)
            before = held(server.pid)
            moments, holdings, calls, (counts, unexpected) = observe(server, arguments.samples, arguments.seconds)
            time.sleep(REST)
            after = held(server.pid)
    draw(arguments.out, moments, holdings, calls)
    grown = compare(moments, holdings, arguments.seconds, before, after)
    show_calls(counts, arguments.seconds)
    print(f"\nplot: {arguments.out}")
    for text, times in Counter(unexpected).most_common(10):
        print(f"{times} x {text}")
    if grown or unexpected:
        raise SystemExit(f"grown: {', '.join(grown) or 'nothing'}; unexpected answers: {len(unexpected)}")


if __name__ == "__main__":
    main()

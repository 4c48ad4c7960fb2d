"""Ten times the load that the server can take: what it still answers, how fast it refuses, what memory it takes.

    PYTHONPATH=python python tests/bench/overload.py target/release/curriculum --seconds 60

For GetWeights of all samples as u16, and for SampleIndices as the Python sampler asks for them, 64 iterations at once,
peak throughput is measured with a few calls open at any time; then ten times as many calls a second are begun, whatever
becomes of them. Every call asks for another iteration, so nothing is answered from memory. There are so many samples
that a call costs the server much more than it costs the load: a few thousand calls a second, refused ones too, is all
that a core of the load can begin.

Server and load have half of the machine's processors each, so that the load does not take what the server answers
with: on two cores one each. There a second process of load would begin no more calls, only keep the first one waiting.
Peak throughput is that of the server's half. The server works on as many calls at once as --limit says for each of its
processors, at peak and beyond.

A job publishes the samples first, which takes a minute or two.
Prints a table, and a JSON object for each figure; ends with 1 when a figure is beyond its bound. Linux only.
"""

import argparse
import json
import os
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from curriculum import ingest
from generator import Calls, generators
from process import held
from serving import serving

CURRICULUM = "overload"
DIMENSION = 4
# Beyond every iteration that is asked for: weights never become uniform.
WARMUP_ITERATIONS = 1_000_000_000
TIMES = 10
PEAK_SECONDS, WARM_UP_SECONDS, LOOK_SECONDS = 5.0, 2.0, 0.1
# Load reached, of TIMES x peak; successes, of peak; 99th percentile of refusals; and resident memory beyond its most
# at peak.
LEAST_LOAD, LEAST_SUCCESSES, MOST_MILLISECONDS, MORE_MIB = 0.9, 0.8, 50.0, 64.0
REFUSED = "RESOURCE_EXHAUSTED"


def publish(address, folder, samples):
    file = folder / "features.npy"
    np.save(file, np.random.default_rng(0).standard_normal((samples, DIMENSION), dtype=np.float32))
    job = ingest.submit(address, CURRICULUM, str(file), clusters=2, warmup_iterations=WARMUP_ITERATIONS)
    ingest.wait(address, job)


class Watch:
    """The most resident memory, MiB, in the block `watching`."""

    most = 0.0


@contextmanager
def watching(pid):
    watch, stop = Watch(), threading.Event()

    def look():
        while not stop.wait(LOOK_SECONDS):
            watch.most = max(watch.most, held(pid).resident_mib)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join()


def measure(server, calls, limit, arguments, processors):
    """The figures of a method: name, value, unit, bound in words, whether it is kept."""
    with generators(server.address, calls, arguments.processes, processors) as load:
        load.measure("keep_open", limit, WARM_UP_SECONDS)
        with watching(server.pid) as at_peak:
            tries = {
                number: load.measure("keep_open", number, PEAK_SECONDS)
                for number in (limit // 2, limit)
                if number >= arguments.processes
            }
        best = max(tries, key=lambda number: tries[number].rate("OK"))
        peak = tries[best].rate("OK")
        with watching(server.pid) as beyond:
            overload = load.measure("begin", TIMES * peak, arguments.seconds)
    offered, answered = overload.begun / overload.seconds / peak, overload.rate("OK") / peak
    refusal = overload.percentile(REFUSED, 99)
    others = overload.within.total() - overload.within["OK"] - overload.within[REFUSED]
    most = at_peak.most + MORE_MIB
    return [
        ("calls open at peak", best, "calls", "", True),
        ("peak throughput", peak, "calls/s", "", True),
        ("p99 of answers at peak", tries[best].percentile("OK", 99), "ms", "", True),
        ("load's processors at peak", tries[best].processor_seconds / PEAK_SECONDS, "cores", "", True),
        ("load reached", offered, "x peak", f">= {LEAST_LOAD * TIMES:g}", offered >= LEAST_LOAD * TIMES),
        ("load's processors", overload.processor_seconds / overload.seconds, "cores", "", True),
        ("answered", answered, "x peak", f">= {LEAST_SUCCESSES:g}", answered >= LEAST_SUCCESSES),
        ("p99 of answers", overload.percentile("OK", 99), "ms", "", True),
        ("refused", overload.rate(REFUSED), "calls/s", "> 0", overload.within[REFUSED] > 0),
        ("p50 of refusals", overload.percentile(REFUSED, 50), "ms", "", True),
        ("p99 of refusals", refusal, "ms", f"<= {MOST_MILLISECONDS:g}", (refusal or 0.0) <= MOST_MILLISECONDS),
        ("other ends", others, "calls", "0", others == 0),
        ("most memory at peak", at_peak.most, "MiB", "", True),
        ("most memory beyond", beyond.most, "MiB", f"<= {most:.0f}", beyond.most <= most),
    ]


def show(method, figures):
    """The table of a method."""
    print(f"\n{method}")
    for name, value, unit, bound, kept in figures:
        shown = "-" if value is None else f"{value:,.2f}"
        print(f"    {name:<28} {shown:>12} {unit:<8} {bound:<10} {'' if kept else 'BEYOND'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="of overload, for each method")
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--batch", type=int, default=4096, help="draws of an iteration")
    parser.add_argument("--iterations", type=int, default=64, help="of a request for indices")
    parser.add_argument("--limit", type=int, default=4, help="calls at work at once, for each processor of the server")
    parser.add_argument("--processes", type=int, default=1, help="of load")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), help="more settings")
    arguments = parser.parse_args()
    own = sorted(os.sched_getaffinity(0))
    half = (len(own) + 1) // 2
    processors, rest = own[:half], own[half:] or own
    limit = arguments.limit * half
    # All calls are of one client, which has half of the places.
    settings = [("grpc.max_concurrent_requests", 2 * limit), *arguments.set]
    print(
        f"server on {len(processors)} of {len(own)} cores, {limit} calls at work at most; load from "
        f"{arguments.processes} process(es) on {len(rest)}; {arguments.samples:,} samples, {arguments.seconds:g} s"
    )
    measured = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(arguments.binary, folder, settings=settings, processors=processors) as server:
            publish(server.address, folder, arguments.samples)
            for method in ("SampleIndices", "GetWeights"):
                calls = Calls(method, CURRICULUM, arguments.batch, arguments.iterations)
                measured[method] = measure(server, calls, limit, arguments, rest)
                show(method, measured[method])
    print()
    for method, figures in measured.items():
        for figure, value, unit, bound, kept in figures:
            row = {"bench": "overload", "method": method, "figure": figure, "value": value, "unit": unit}
            print(json.dumps(row | {"bound": bound, "kept": bool(kept)}))
    beyond = [f"{method}: {row[0]}" for method, figures in measured.items() for row in figures if not row[-1]]
    if beyond:
        raise SystemExit(f"beyond their bounds: {'; '.join(beyond)}")


if __name__ == "__main__":
    main()

"""Latency of GetSchedule on an idle server, and while a job extracts features on the CPU.

    PYTHONPATH=python python tests/bench/latency.py target/release/curriculum

One client on loopback with one channel calls, waits as a trainer does between two steps, and calls
again; figures are milliseconds as the client sees them, its own share included. The job runs
ViT-S/16 on photographs. Needs what python/tools/requirements.txt names, Pillow and grpcio.
"""

import argparse
import tempfile
import time
from pathlib import Path

import grpc
import numpy as np

import inputs
from curriculum.v1 import curriculum_pb2 as reading
from curriculum.v1 import ingest_pb2 as messages
from curriculum.v1.curriculum_pb2_grpc import CurriculumServiceStub
from curriculum.v1.ingest_pb2_grpc import IngestServiceStub
from serving import serving

CURRICULUM = "latency"
# Images: enough to publish something.
PUBLISHED = 12
WARM_UP_CALLS = 200
START_SECONDS = 120


class Client:
    """One channel and its bare stubs."""

    def __init__(self, address):
        channel = grpc.insecure_channel(address)
        self.ingest = IngestServiceStub(channel)
        self.curricula = CurriculumServiceStub(channel)

    def submit(self, source):
        """The job's id."""
        request = messages.SubmitJobRequest(curriculum=CURRICULUM, source=str(source))
        request.parameters.clusters.fixed = 2
        return self.ingest.SubmitJob(request).job.id

    def cancel(self, identity):
        self.ingest.CancelJob(messages.CancelJobRequest(id=identity))

    def job(self, identity):
        return self.ingest.GetJob(messages.GetJobRequest(id=identity)).job

    def extracts(self, identity):
        """Whether the job is at work on features."""
        job = self.job(identity)
        at_work = (messages.JOB_STATE_RUNNING, messages.STAGE_ENUMERATED)
        return (job.state, job.stage) == at_work and job.progress.done > 0

    def ended(self, identity):
        """Whether the job is published or cancelled. Ends the script if it failed."""
        job = self.job(identity)
        if job.failure.reason:
            raise SystemExit(job.failure.reason)
        return job.ended_at_ms > 0

    def latencies(self, calls, pause):
        """Milliseconds of each call."""
        milliseconds = np.empty(calls)
        for index in range(calls):
            request = reading.GetScheduleRequest(curriculum=CURRICULUM, iterations=[index % 1000])
            started = time.perf_counter()
            self.curricula.GetSchedule(request)
            milliseconds[index] = 1e3 * (time.perf_counter() - started)
            time.sleep(pause)
        return milliseconds


def measure(client, images, calls, pause):
    """Milliseconds of calls on the idle server, half of them before the job and half after, and beside it."""
    client.latencies(WARM_UP_CALLS, 0.0)
    before = client.latencies(calls // 2, pause)
    job = client.submit(images)
    wait_until(client.extracts, job)
    loaded = client.latencies(calls, pause)
    if not client.extracts(job):
        raise SystemExit("the job ended before the calls; give more --photographs")
    client.cancel(job)
    wait_until(client.ended, job)
    return np.concatenate([before, client.latencies(calls - calls // 2, pause)]), loaded


def wait_until(happens, *arguments):
    deadline = time.monotonic() + START_SECONDS
    while not happens(*arguments):
        if time.monotonic() > deadline:
            raise SystemExit(f"{happens.__name__} did not become true in {START_SECONDS} s")
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--pause", type=float, default=5.0, help="milliseconds between two calls")
    parser.add_argument("--photographs", type=int, default=2000, help="of the job, which must outlast the calls")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = inputs.write_photographs(folder / "few", PUBLISHED)
        many = inputs.write_photographs(folder / "many", arguments.photographs)
        with serving(arguments.binary, folder, "--model", inputs.export_vits16(folder)) as server:
            client = Client(server.address)
            wait_until(client.ended, client.submit(few))
            idle, loaded = measure(client, many, arguments.calls, arguments.pause / 1e3)
    print(f"{'GetSchedule, ms':<20} {'p50':>8} {'p99':>8} {'max':>8}")
    for name, measured in (("idle", idle), ("during extraction", loaded)):
        p50, p99 = np.percentile(measured, (50, 99))
        print(f"{name:<20} {p50:>8.2f} {p99:>8.2f} {measured.max():>8.2f}")
    print(f"{'ratio of p99':<29} {np.percentile(loaded, 99) / np.percentile(idle, 99):>8.2f}")


if __name__ == "__main__":
    main()

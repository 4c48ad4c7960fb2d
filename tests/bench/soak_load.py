"""The load of soak.py: what trainers, pipelines and monitoring do, all at once, in a process of its own."""

import asyncio
import random
import time
import urllib.request
import zlib
from collections import Counter
from dataclasses import dataclass, field

import grpc
import numpy as np

from curriculum import tls
from curriculum.ingest import messages, parameters
from curriculum.v1 import curriculum_pb2 as reading
from curriculum.v1 import ingest_pb2 as writing
from curriculum.v1 import types_pb2 as types
from curriculum.v1.curriculum_pb2_grpc import CurriculumServiceStub
from curriculum.v1.ingest_pb2_grpc import IngestServiceStub

CURRICULUM, JOBS = "soak", "soak-jobs"
DIMENSION = 8
WARMUP_ITERATIONS = 100_000
BATCH, WINDOW = 1024, 16
FAR = 1_000_000
# Seconds between two calls of an activity, between two jobs, and between two scrapes of /metrics.
PAUSE, JOB_PAUSE, SCRAPE_PAUSE = 0.02, 10.0, 5.0
JOB_SAMPLES = 2000
# Seconds that a call may take, and a job.
DEADLINE, JOB_DEADLINE = 30.0, 120.0
WIDTHS = {reading.ENCODING_F32: 4, reading.ENCODING_F16: 2, reading.ENCODING_U16: 2}
ORDERS = (types.ORDER_EASY_FIRST, types.ORDER_HARD_FIRST, types.ORDER_REVERSED, types.ORDER_SHUFFLED)
OWN_SOCKETS = (("grpc.use_local_subchannel_pool", 1),)


class Wrong(Exception):
    """An answer that is not what was asked for."""


@dataclass
class Load:
    """Activities that go on until a moment, and what came of their calls."""

    address: str
    metrics: str
    samples: int
    # time.monotonic()
    end: float
    # Shared with who watches: all calls so far.
    total: object
    # By method and code.
    counts: Counter = field(default_factory=Counter)
    unexpected: list = field(default_factory=list)

    async def run(self):
        """Everything at once."""
        activities = (
            [(self.weights, PAUSE)] * 3
            + [(self.indices, PAUSE)] * 3
            + [(self.windows, PAUSE), (self.schedule, PAUSE), (self.difficulty, 5 * PAUSE)]
            + [(self.connection, PAUSE), (self.silence, PAUSE), (self.cancelled_stream, PAUSE)]
            + [(self.cancelled_call, PAUSE), (self.job, JOB_PAUSE), (self.scrape, SCRAPE_PAUSE)]
        )
        async with self.channel() as channel:
            self.curricula, self.ingest = CurriculumServiceStub(channel), IngestServiceStub(channel)
            await asyncio.gather(*(self.repeat(activity, pause) for activity, pause in activities))

    def channel(self):
        """A connection with the authority and the key of the environment."""
        key = grpc.access_token_call_credentials(tls.api_key_from_environment())
        credentials = tls.TlsConfig.from_environment().credentials()
        credentials = grpc.composite_channel_credentials(credentials, key)
        return grpc.aio.secure_channel(self.address, credentials, options=OWN_SOCKETS)

    async def repeat(self, activity, pause):
        number = 0
        while time.monotonic() < self.end:
            try:
                await activity(number)
            except grpc.aio.AioRpcError as error:
                self.unexpected.append(f"{activity.__name__}: {error.code().name}: {error.details()}")
            except (OSError, Wrong) as error:
                self.unexpected.append(f"{activity.__name__}: {error!r}")
            number += 1
            await asyncio.sleep(pause)

    def note(self, method, code):
        self.counts[method, code] += 1
        self.total.value += 1

    async def ask(self, stub, method, request, timeout=DEADLINE):
        """The answer, or all messages of it; counted."""
        call = getattr(stub, method)(request, timeout=timeout)
        try:
            answer = await call if isinstance(call, grpc.aio.UnaryUnaryCall) else [part async for part in call]
        except grpc.aio.AioRpcError as error:
            self.note(method, error.code().name)
            raise
        self.note(method, "OK")
        return answer

    async def weights(self, number):
        encoding = tuple(WIDTHS)[number % len(WIDTHS)]
        request = reading.GetWeightsRequest(
            curriculum=CURRICULUM,
            iteration=random.randrange(WARMUP_ITERATIONS),
            encoding=encoding,
            order=ORDERS[number // len(WIDTHS) % len(ORDERS)],
            order_seed=7,
        )
        _, *chunks = await self.ask(self.curricula, "GetWeights", request)
        check(sum(len(part.chunk.values) for part in chunks), WIDTHS[encoding] * self.samples, "bytes of weights")

    async def indices(self, number, window=0):
        request = draw(number, window)
        answer = await self.ask(self.curricula, "SampleIndices", request)
        check(len(answer.indices), 4 * BATCH, "bytes of indices")

    async def windows(self, number):
        await self.indices(number, WINDOW)

    async def schedule(self, number):
        wanted = range(number, number + 100)
        request = reading.GetScheduleRequest(curriculum=CURRICULUM, iterations=wanted)
        answer = await self.ask(self.curricula, "GetSchedule", request)
        check(len(answer.entries), len(wanted), "entries")

    async def difficulty(self, number):
        request = reading.GetDifficultyRequest(curriculum=CURRICULUM, difficulty_only=number % 2 == 0)
        _, *chunks, last = await self.ask(self.curricula, "GetDifficulty", request)
        checksum = 0
        for part in chunks:
            checksum = zlib.crc32(part.chunk.difficulty, checksum)
        check(checksum, last.end.crc32, "checksum of difficulties")

    async def connection(self, number):
        """A client that comes, asks once and goes."""
        async with self.channel() as channel:
            request = reading.GetScheduleRequest(curriculum=CURRICULUM, iterations=[number])
            await self.ask(CurriculumServiceStub(channel), "GetSchedule", request)

    async def silence(self, number):
        """A connection on which nothing is said."""
        _, writer = await asyncio.open_connection(*self.address.rsplit(":", 1))
        await asyncio.sleep(random.uniform(0, PAUSE))
        writer.close()
        await writer.wait_closed()
        self.note("silent connection", "closed")

    async def cancelled_stream(self, number):
        """Weights that are given up after the first message."""
        request = reading.GetWeightsRequest(curriculum=CURRICULUM, iteration=number)
        call = self.curricula.GetWeights(request, timeout=DEADLINE)
        await call.read()
        await self.cancel(call, "GetWeights")

    async def cancelled_call(self, number):
        """Draws that are given up in the middle."""
        # Odd numbers' windows are beyond those that others ask for.
        request = draw(number + FAR, WINDOW) if number % 2 else draw(number, 0)
        call = self.curricula.SampleIndices(request, timeout=DEADLINE)
        await asyncio.sleep(random.uniform(0, 0.005))
        await self.cancel(call, "SampleIndices")

    async def cancel(self, call, method):
        call.cancel()
        code = await call.code()
        self.note(f"{method}, cancelled", code.name)
        check(code in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED), True, f"cancelled call ended with {code}")

    async def job(self, number):
        """A push, a job with three who watch it, and its version."""
        name = f"soak-{number}"
        values = np.random.default_rng(number).normal(size=(JOB_SAMPLES, DIMENSION)).astype(np.float32)
        ids = [f"{number}/{index}" for index in range(JOB_SAMPLES)]
        pushed = [writing.PushFeaturesRequest(header=writing.PushHeader(push=name, dimension=DIMENSION))]
        offset = 0
        for part in messages.features((ids, None, values)):
            pushed.append(writing.PushFeaturesRequest(rows=part.message(offset)))
            offset += len(part.ids)
        pushed.append(writing.PushFeaturesRequest(end=writing.PushEnd(samples=offset)))
        try:
            await self.ingest.PushFeatures(iter(pushed), timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            self.note("PushFeatures", error.code().name)
            raise
        self.note("PushFeatures", "OK")
        request = parameters.request(JOBS, f"pushed:{name}", clusters=2)
        job = (await self.ask(self.ingest, "SubmitJob", request)).job.id
        watched = writing.WatchJobRequest(id=job)
        watch = [self.ask(self.ingest, "WatchJob", watched, JOB_DEADLINE) for _ in range(3)]
        for seen in await asyncio.gather(*watch):
            check(seen[-1].job.state, writing.JOB_STATE_SUCCEEDED, f"state of {seen[-1].job}")
        await self.ask(self.curricula, "GetWeights", reading.GetWeightsRequest(curriculum=JOBS))
        await self.ask(self.curricula, "GetCurriculum", reading.GetCurriculumRequest(curriculum=JOBS))

    async def scrape(self, number):
        def fetch():
            with urllib.request.urlopen(self.metrics, timeout=DEADLINE) as answer:
                return answer.status

        self.note("/metrics", str(await asyncio.to_thread(fetch)))


def draw(number, window):
    """Fresh draws for each number: with replacement anywhere, without it in window `number`."""
    iteration = number * window if window else random.randrange(WARMUP_ITERATIONS)
    return reading.SampleIndicesRequest(curriculum=CURRICULUM, iteration=iteration, batch=BATCH, window=window)


def check(found, wanted, what):
    if found != wanted:
        raise Wrong(f"{what}: {found}, not {wanted}")


def main(address, metrics, samples, seconds, total, report):
    """In its own process: the load for `seconds`; sends counts by method and code, and what was unexpected."""
    load = Load(address, metrics, samples, time.monotonic() + seconds, total)
    asyncio.run(load.run())
    report.send((dict(load.counts), load.unexpected))

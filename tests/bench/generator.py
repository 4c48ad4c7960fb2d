"""Load for overload.py, from several processes: as fast as answers come, or at a rate whatever the answers do.

Answers are received whole and dropped as bytes.
"""

import asyncio
import itertools
import multiprocessing
import os
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import numpy as np

from curriculum.v1 import curriculum_pb2 as pb

# Connections of each process, as if it were as many trainers.
CONNECTIONS = 4
OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))
# Seconds after which a call is given up, and between two looks at what is due.
DEADLINE, TICK = 10.0, 0.002
# Calls that a process leaves open at most; more are not sent, and show as a lower rate.
MOST_OPEN = 10_000
# Iterations that a process has for itself: every call asks for another one.
OWN = 1_000_000


@dataclass(frozen=True)
class Calls:
    """What is asked for, time and again."""

    method: str
    curriculum: str
    # Of an answer with indices.
    batch: int
    iterations: int

    @property
    def streams(self):
        return self.method == "GetWeights"

    def request(self, number):
        """The bytes of request `number`."""
        if self.method == "GetWeights":
            return pb.GetWeightsRequest(
                curriculum=self.curriculum, iteration=number, encoding=pb.ENCODING_U16
            ).SerializeToString()
        return pb.SampleIndicesRequest(
            curriculum=self.curriculum, iteration=number, batch=self.batch, iterations=self.iterations
        ).SerializeToString()


@dataclass(frozen=True)
class Outcome:
    """What came of calls."""

    seconds: float
    # Calls begun in that time, and those that ended in it by code.
    begun: int
    within: Counter
    # Milliseconds of each call by code, of those that ended later too.
    milliseconds: dict
    processor_seconds: float

    @staticmethod
    def of(parts):
        """Of all processes together."""
        codes = {code for part in parts for code in part.milliseconds}
        milliseconds = {
            code: np.concatenate([part.milliseconds[code] for part in parts if code in part.milliseconds])
            for code in codes
        }
        within = sum((part.within for part in parts), Counter())
        used = sum(part.processor_seconds for part in parts)
        return Outcome(parts[0].seconds, sum(part.begun for part in parts), within, milliseconds, used)

    def rate(self, code):
        """Calls a second that ended so."""
        return self.within[code] / self.seconds

    def percentile(self, code, percent):
        """Milliseconds; None without such calls."""
        measured = self.milliseconds.get(code)
        return None if measured is None else float(np.percentile(measured, percent))


class Client:
    """The calls of one process."""

    def __init__(self, address, calls, first):
        self.channels = [grpc.aio.insecure_channel(address, options=OPTIONS) for _ in range(CONNECTIONS)]
        kind = "unary_stream" if calls.streams else "unary_unary"
        path = f"/curriculum.v1.CurriculumService/{calls.method}"
        self.stubs = itertools.cycle([getattr(channel, kind)(path) for channel in self.channels])
        self.requests = map(calls.request, itertools.count(first))
        self.streams = calls.streams

    async def call(self):
        """From its begin to its last byte, or its refusal."""
        self.begun += 1
        started = time.monotonic()
        call = next(self.stubs)(next(self.requests), timeout=DEADLINE)
        try:
            if self.streams:
                async for _ in call:
                    pass
            else:
                await call
            code = "OK"
        except grpc.aio.AioRpcError as error:
            code = error.code().name
        ended = time.monotonic()
        self.milliseconds[code].append(1e3 * (ended - started))
        self.within[code] += ended < self.end

    async def keep_open(self, number):
        """So many calls at any time."""

        async def one_after_another():
            while time.monotonic() < self.end:
                await self.call()

        await asyncio.gather(*(one_after_another() for _ in range(number)))

    async def begin(self, rate):
        """So many calls a second, without waiting for answers."""
        started, due, running = time.monotonic(), 0, set()
        while (now := time.monotonic()) < self.end:
            before, due = due, int(rate * (now - started))
            for _ in range(min(due - before, MOST_OPEN - len(running))):
                task = asyncio.ensure_future(self.call())
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.sleep(TICK)
        await asyncio.gather(*running)

    async def measure(self, name, number, seconds):
        """`keep_open` or `begin` for so long."""
        self.begun, self.within, self.milliseconds = 0, Counter(), defaultdict(list)
        self.end = time.monotonic() + seconds
        used = time.process_time()
        await getattr(self, name)(number)
        milliseconds = {code: np.array(measured) for code, measured in self.milliseconds.items()}
        return Outcome(seconds, self.begun, self.within, milliseconds, time.process_time() - used)


class Generators:
    """As many processes, which share the load."""

    def __init__(self, pipes):
        self.pipes = pipes

    def measure(self, name, number, seconds):
        """The outcome of all; `number` is divided among them."""
        for pipe in self.pipes:
            pipe.send((name, number / len(self.pipes), seconds))
        return Outcome.of([pipe.recv() for pipe in self.pipes])


@contextmanager
def generators(address, calls, number, processors):
    """So many processes for the block, on `processors`."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for index in range(number):
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there, address, calls, index * OWN, processors), daemon=True)
        process.start()
        # The child has its own, so that its end is seen here.
        there.close()
        pipes.append(here)
        processes.append(process)
    yield Generators(pipes)
    for pipe, process in zip(pipes, processes, strict=True):
        pipe.send(None)
        process.join()


def work(pipe, address, calls, first, processors):
    """In a process of its own: measures what the pipe asks for, until that is None."""
    os.sched_setaffinity(0, processors)

    async def answer():
        client = Client(address, calls, first)
        while (asked := pipe.recv()) is not None:
            name, number, seconds = asked
            pipe.send(await client.measure(name, round(number) if name == "keep_open" else number, seconds))
        for channel in client.channels:
            await channel.close()

    asyncio.run(answer())

"""A CurriculumService in this process that misbehaves as told, with TLS if wanted."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from concurrent import futures

import grpc
import numpy as np

from curriculum.v1 import curriculum_pb2 as pb
from curriculum.v1 import curriculum_pb2_grpc as stubs

VERSION = "ab" * 32
SAMPLES = 1000
# Bytes, as the server has it.
CHUNK = 1 << 20


class FakeService(stubs.CurriculumServiceServicer):
    """One curriculum, `fake`."""

    def __init__(self) -> None:
        """Well-behaved."""
        self.api_level = 1
        self.server_version = "9.8.7"
        # Status codes with which the next calls fail.
        self.failures: list[grpc.StatusCode] = []
        # Bytes that go with them where gRPC sends a google.rpc.Status.
        self.details = b""
        # Seconds that every call takes, until nobody waits any more.
        self.delay = 0.0
        self.hurry = threading.Event()
        self.calls: list[str] = []
        self.keys: list[str] = []
        self.checksum_off = 0
        self.samples = SAMPLES

    def enter(self, name: str, context: grpc.ServicerContext) -> None:
        """What every call begins with."""
        # Before the call is seen: who sees it may change the delay.
        delay = self.delay
        self.calls.append(name)
        self.keys += [str(value) for key, value in context.invocation_metadata() if key == "authorization"]
        self.hurry.wait(delay)
        if self.failures:
            if self.details:
                context.set_trailing_metadata((("grpc-status-details-bin", self.details),))
            context.abort(self.failures.pop(0), f"{name} was told to fail")

    def GetCurriculum(
        self, request: pb.GetCurriculumRequest, context: grpc.ServicerContext
    ) -> pb.GetCurriculumResponse:
        self.enter("GetCurriculum", context)
        return pb.GetCurriculumResponse(
            curriculum=pb.Curriculum(name="fake", versions=[VERSION]),
            version=pb.Version(id=VERSION, summary=pb.Summary(sample_count=self.samples)),
            server_version=self.server_version,
            api_level=self.api_level,
        )

    def GetWeights(
        self, request: pb.GetWeightsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GetWeightsResponse]:
        self.enter("GetWeights", context)
        whole = pb.IndexRange(start=0, end=self.samples)
        head = pb.WeightsHeader(version=VERSION, sample_count=self.samples, range=whole, encoding=pb.ENCODING_F32)
        yield pb.GetWeightsResponse(header=head)
        values = np.full(min(self.samples, CHUNK // 4), 1.0 / self.samples, dtype="<f4").tobytes()
        for start in range(0, self.samples, CHUNK // 4):
            part = values[: 4 * (self.samples - start)]
            yield pb.GetWeightsResponse(chunk=pb.WeightsChunk(start=start, values=part))

    def GetSchedule(self, request: pb.GetScheduleRequest, context: grpc.ServicerContext) -> pb.GetScheduleResponse:
        self.enter("GetSchedule", context)
        entries = [pb.ScheduleEntry(iteration=iteration, temperature=0.1) for iteration in request.iterations]
        return pb.GetScheduleResponse(version=VERSION, sample_count=self.samples, entries=entries)

    def GetDifficulty(
        self, request: pb.GetDifficultyRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GetDifficultyResponse]:
        self.enter("GetDifficulty", context)
        values = np.linspace(0, 1, SAMPLES, dtype="<f4").tobytes()
        whole = pb.IndexRange(start=0, end=SAMPLES)
        yield pb.GetDifficultyResponse(header=pb.DifficultyHeader(version=VERSION, sample_count=SAMPLES, range=whole))
        for start in range(0, SAMPLES, 300):
            part = values[4 * start : 4 * (start + 300)]
            yield pb.GetDifficultyResponse(chunk=pb.DifficultyChunk(start=start, difficulty=part))
        yield pb.GetDifficultyResponse(end=pb.DifficultyEnd(crc32=zlib.crc32(values) + self.checksum_off))


class FakeServer:
    """Serves it on loopback until closed."""

    def __init__(self, service: FakeService, credentials: grpc.ServerCredentials | None = None) -> None:
        """On a free port."""
        self._service = service
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        stubs.add_CurriculumServiceServicer_to_server(service, self._server)
        if credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Cuts its calls. Safe to repeat."""
        self._service.hurry.set()
        self._server.stop(None).wait()

"""Client of Curriculum Server: which samples to learn from, and when.

- `Curriculum`: weights, schedules, difficulties and indices of one curriculum (`client`).
- `curriculum.torch`: samplers for PyTorch, the one part that needs it.
- `ingest`: features and images that live here, jobs, aliases.
- `Server`: a server of this machine's own.
- `errors`: what goes wrong, by cause.
"""

import os

# Before anything imports grpc: without it a forked child that makes a call hangs in some releases.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")

from curriculum import errors, ingest
from curriculum._binary import find_binary
from curriculum.client import Curriculum
from curriculum.errors import CurriculumError, LocalServerError
from curriculum.local import LocalCurriculum
from curriculum.retry import Retry
from curriculum.schedule import ScheduleEntry
from curriculum.server import Server
from curriculum.tls import TlsConfig

__all__ = [
    "Curriculum",
    "CurriculumError",
    "LocalCurriculum",
    "LocalServerError",
    "Retry",
    "ScheduleEntry",
    "Server",
    "TlsConfig",
    "errors",
    "find_binary",
    "ingest",
]

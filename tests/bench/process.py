"""What a process holds, from /proc; Linux only."""

import os
import re
from pathlib import Path
from typing import NamedTuple

MIB = 1 << 20


class Held(NamedTuple):
    """At one moment."""

    # Mapped and in memory, files' pages included.
    resident_mib: float
    anonymous_mib: float
    descriptors: int
    threads: int
    # Of processor time so far, user's and system's, of all threads.
    seconds: float


def held(pid):
    status = Path(f"/proc/{pid}/status").read_text()

    def of(name):
        return int(re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[1])

    descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
    stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    seconds = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return Held(of("VmRSS") * 1024 / MIB, of("RssAnon") * 1024 / MIB, descriptors, of("Threads"), seconds)

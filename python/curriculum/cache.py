"""Difficulties on disk, so that each machine fetches those of a version once."""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curriculum.locks import exclusive

F32 = NDArray[np.float32]

CACHE = "CURRICULUM_CACHE"
CACHE_BYTES = "CURRICULUM_CACHE_BYTES"
DEFAULT_BYTES = 10 << 30
# Seconds after which an unfinished file belongs to nobody.
_ABANDONED = 3600.0

# Magic with the layout's number, number of samples, CRC-32 of the values; the values follow, f32 little endian.
_MAGIC = b"CURDIFF1"
_HEAD = struct.Struct("<8sQI")


def folder() -> Path:
    """CURRICULUM_CACHE, else `curriculum` in XDG_CACHE_HOME or ~/.cache. It need not exist yet."""
    named = os.environ.get(CACHE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "curriculum"


def size_limit() -> int:
    """CURRICULUM_CACHE_BYTES, else 10 GiB. ValueError unless it is a whole number, 0 or more."""
    text = os.environ.get(CACHE_BYTES)
    if not text:
        return DEFAULT_BYTES
    if not text.isdecimal():
        raise ValueError(f"{CACHE_BYTES}={text!r} is no number of bytes")
    return int(text)


class DifficultyCache:
    """The difficulties of versions, a file each; those used last stay. A damaged file counts as none.

    Any number of processes may use a folder. A file that is removed while one reads it is read to its end.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        """Made on first write. `limit`: bytes of all files together; 0: nothing is kept."""
        self._directory = directory
        self._limit = limit

    def path(self, key: str) -> Path:
        """The file of `key`, made of a version and whatever else the difficulties depend on."""
        return self._directory / f"{key}.difficulty"

    def load(self, key: str) -> F32 | None:
        """f32 (N,), verified; None when there is no sound file."""
        path = self.path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if len(data) < _HEAD.size:
            return None
        magic, samples, checksum = _HEAD.unpack_from(data)
        values = memoryview(data)[_HEAD.size :]
        if magic != _MAGIC or len(values) != 4 * samples or zlib.crc32(values) != checksum:
            return None
        with contextlib.suppress(OSError):
            # Its time says when it was used last; that of access is not kept everywhere.
            os.utime(path)
        return np.frombuffer(values, dtype="<f4").astype(np.float32, copy=False)

    @contextmanager
    def filling(self, key: str, samples: int, patience: float) -> Iterator[None]:
        """For who found nothing: one process at a time fetches `key`, and the others wait up to `patience` seconds.

        They look again inside. Where there can be no lock, after too long a wait, and if what comes is too large to be
        kept, everybody fetches.
        """
        with contextlib.ExitStack() as held:
            if self._fits(samples):
                with contextlib.suppress(OSError):  # TimeoutError among them
                    self._directory.mkdir(parents=True, exist_ok=True)
                    held.enter_context(exclusive(self._directory / f"{key}.lock", patience))
            yield

    def store(self, key: str, difficulty: F32) -> None:
        """Keeps f32 (N,): the whole file or none, also after a crash. A disk that refuses is a warning only.

        What was not used for longest is removed for it; a file larger than the limit is not kept.
        """
        values = np.ascontiguousarray(difficulty, dtype="<f4")
        if not self._fits(len(values)):
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._write(self.path(key), values)
            self._shrink(self.path(key))
        except OSError as error:
            warnings.warn(f"difficulties are not cached: {error}", RuntimeWarning, stacklevel=2)

    def _fits(self, samples: int) -> bool:
        return _HEAD.size + 4 * samples <= self._limit

    def _write(self, path: Path, values: F32) -> None:
        handle, name = tempfile.mkstemp(dir=self._directory, prefix=".", suffix=".partial")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_HEAD.pack(_MAGIC, len(values), zlib.crc32(values.data)))
                file.write(values.data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def _shrink(self, newest: Path) -> None:
        """Removes what exceeds the limit, `newest` last of all, and what killed writers left."""
        files = []
        for path in self._directory.iterdir():
            # Somebody else's, or gone meanwhile: the others go all the same.
            with contextlib.suppress(OSError):
                status = path.stat()
                if path.suffix == ".partial" and status.st_mtime < time.time() - _ABANDONED:
                    path.unlink()
                elif path.suffix == ".difficulty":
                    files.append((path == newest, status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, _, size, _ in files)
        for _, _, size, path in sorted(files):
            if total <= self._limit:
                break
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
                total -= size

"""Difficulties on disk, so that each machine fetches those of a version once."""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

CACHE = "CURRICULUM_CACHE"

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


class DifficultyCache:
    """The difficulties of versions, a file each. A damaged file counts as none."""

    def __init__(self, directory: Path) -> None:
        """Made on first write."""
        self._directory = directory

    def path(self, key: str) -> Path:
        """The file of `key`, made of a version and whatever else the difficulties depend on."""
        return self._directory / f"{key}.difficulty"

    def load(self, key: str) -> F32 | None:
        """f32 (N,), verified; None when there is no sound file."""
        try:
            data = self.path(key).read_bytes()
        except OSError:
            return None
        if len(data) < _HEAD.size:
            return None
        magic, samples, checksum = _HEAD.unpack_from(data)
        values = memoryview(data)[_HEAD.size :]
        if magic != _MAGIC or len(values) != 4 * samples or zlib.crc32(values) != checksum:
            return None
        return np.frombuffer(values, dtype="<f4").astype(np.float32, copy=False)

    def store(self, key: str, difficulty: F32) -> None:
        """Keeps f32 (N,): the whole file or none, also after a crash. A disk that refuses is a warning only."""
        values = np.ascontiguousarray(difficulty, dtype="<f4")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._directory, prefix=".", suffix=".partial")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_HEAD.pack(_MAGIC, len(values), zlib.crc32(values.data)))
                    file.write(values.data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self.path(key))
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as error:
            warnings.warn(f"difficulties are not cached: {error}", RuntimeWarning, stacklevel=2)

"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747) from its four IDX files."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

# Where Debian's package `dataset-fashion-mnist` puts the files.
DEFAULT_FOLDER = Path("/usr/share/datasets/fashion-mnist")

# Mean and standard deviation of the 60,000 training images, pixels in [0, 1].
PIXEL_MEAN = 0.28604
PIXEL_STD = 0.35302

_FILE_PREFIX = {"train": "train", "test": "t10k"}
_HEADER_BYTES = {"images": 16, "labels": 8}


class Split(NamedTuple):
    """One split of the data set."""

    images: torch.Tensor
    """(N, 28, 28) u8, grey levels."""
    labels: torch.Tensor
    """(N,) i64, class in 0..9; for evaluation only."""


def load(folder: Path, split: str, limit: int | None = None) -> Split:
    """The first `limit` images of `split`, "train" or "test". FileNotFoundError names the file that is missing."""
    images = _read_idx(folder, split, "images").reshape(-1, 28, 28)[:limit]
    labels = _read_idx(folder, split, "labels")[:limit]
    return Split(torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64)))


def _read_idx(folder: Path, split: str, kind: str) -> np.ndarray:
    name = f"{_FILE_PREFIX[split]}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
    file = folder / name
    content = file.read_bytes() if file.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=_HEADER_BYTES[kind])


def normalise(images: torch.Tensor) -> torch.Tensor:
    """Grey levels (N, 28, 28) u8 as f32 of mean 0 and deviation 1."""
    return (images.float() / 255.0 - PIXEL_MEAN) / PIXEL_STD


def encode_png(image: np.ndarray) -> bytes:
    """An image (H, W) u8 as an 8-bit grey PNG."""
    height, width = image.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    # Each line begins with its filter, 0 for none.
    lines = np.pad(image, ((0, 0), (1, 0))).tobytes()
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, body) for kind, body in chunks)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

"""Read Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747) and encode its images as PNG."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
from PIL import Image

# Where Debian's `dataset-fashion-mnist` package puts the four IDX files.
DEFAULT_DATASET = Path("/usr/share/datasets/fashion-mnist")

# Folder-safe class names; the position in the tuple is the label.
CLASSES = (
    "t_shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle_boot",
)

_FILE_PREFIX = {"train": "train", "test": "t10k"}


def load(dataset: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 28, 28) u8 and labels (N,) u8 of `split` ("train" or "test")."""
    prefix = dataset / _FILE_PREFIX[split]
    images = gzip.decompress(Path(f"{prefix}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress(Path(f"{prefix}-labels-idx1-ubyte.gz").read_bytes())
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28),
        np.frombuffer(labels, np.uint8, offset=8),
    )


def member_name(label: int, index: int) -> str:
    """Path of an image inside the archive or folder; `index` is its place in the split."""
    return f"{CLASSES[label]}/{index:05d}.png"


def encode_png(image: np.ndarray) -> bytes:
    """An image (28, 28) u8 as an optimised 8-bit grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()

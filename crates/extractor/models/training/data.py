"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747) as torch tensors."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

# Where Debian's `dataset-fashion-mnist` package puts the four IDX files.
DEFAULT_DATASET = Path("/usr/share/datasets/fashion-mnist")

# Mean and standard deviation of the 60,000 training images, pixels in [0, 1].
PIXEL_MEAN = 0.28604
PIXEL_STD = 0.35302

_IDX_HEADER_BYTES = {"images": 16, "labels": 8}


class Split(NamedTuple):
    """One split of the data set."""

    images: torch.Tensor  # (N, 1, 28, 28) f32, grey levels in [0, 1]
    labels: torch.Tensor  # (N,) i64, class in 0..9; for evaluation only


def _read_idx(path: Path, header_bytes: int) -> np.ndarray:
    """Return the payload of a gzipped IDX file as a flat, writable u8 array."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header_bytes).copy()


def load_split(dataset: Path, split: str) -> Split:
    """Load `split` ("train" or "t10k") from the folder holding the IDX files."""
    images = _read_idx(dataset / f"{split}-images-idx3-ubyte.gz", _IDX_HEADER_BYTES["images"])
    labels = _read_idx(dataset / f"{split}-labels-idx1-ubyte.gz", _IDX_HEADER_BYTES["labels"])
    return Split(
        images=torch.from_numpy(images).view(-1, 1, 28, 28).float() / 255.0,
        labels=torch.from_numpy(labels).long(),
    )


def to_model_input(grey: torch.Tensor) -> torch.Tensor:
    """Standardise grey images (N, 1, H, W) in [0, 1] and repeat them to (N, 3, H, W)."""
    return ((grey - PIXEL_MEAN) / PIXEL_STD).expand(-1, 3, -1, -1)

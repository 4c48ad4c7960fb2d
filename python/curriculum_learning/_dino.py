"""Tensors for a DINO model that runs in the server, as image files that it decodes to the very same pixels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from curriculum_learning._data import first_of
from curriculum_learning._extractors import Device, FeatureExtractor
from curriculum_learning._progress import counted

DINO_MODELS = ("dino_vits16", "dino_vits8", "dino_vitb16", "dino_vitb8")

# What the server does to an image for these models: resize the shorter side, crop the centre, normalise.
RESIZE = 256
CROP = 224
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)

# Distance from a whole grey level that ToTensor and Normalize in f32 leave behind.
ROUNDING = 2e-3


class ServerDino(FeatureExtractor):
    """A DINO backbone that the server runs, on tensors (3, 224, 224) as a torchvision transform makes them.

    A tensor that ToTensor and Normalize (ImageNet's mean and deviation) made of an 8-bit image is sent as that image:
    the model sees the same values. Any other one, such as a spectrogram, is rounded to 8 bits a channel and cut at what
    an image can hold (red -2.1 to 2.2, green -2.0 to 2.4, blue -1.8 to 2.6); a warning says by how much.

    ValueError for a model of another name.
    """

    def __init__(self, model: str = "dino_vits16") -> None:
        if model not in DINO_MODELS:
            raise ValueError(f"unknown DINO model {model!r}: use one of {', '.join(DINO_MODELS)}")
        self.model = model

    def extract_features(self, data_loader: DataLoader[Any], device: Device) -> Tensor:
        """Refuses with TypeError: the features stay in the server."""
        raise TypeError(f"{self.model} runs in the server, which keeps the features; fit gives difficulties")

    def images(self, loader: DataLoader[Any]) -> Iterator[list[bytes]]:
        """The loader's samples as image files, a batch at a time. ValueError for tensors of another shape."""
        worst = 0.0
        for batch in counted(loader, "images", loader):
            pixels, error = to_pixels(first_of(batch))
            worst = max(worst, error)
            yield [encode(image) for image in pixels]
        if worst > ROUNDING:
            warnings.warn(
                "the tensors are no 8-bit images of ImageNet's mean and deviation: they were rounded and cut to fit, "
                f"by up to {worst / 255 / float(STD.min()):.2g}; to avoid that, extract features in this process with "
                "PretrainedModelExtractor",
                stacklevel=2,
            )


def to_pixels(tensors: Tensor) -> tuple[npt.NDArray[np.uint8], float]:
    """Tensors (B, 3, 224, 224) as u8 (B, 256, 256, 3), and how far the farthest was from a whole grey level.

    The margin is what the server cuts off, so that it neither resizes nor crops what is inside.
    """
    if tensors.ndim != 4 or tensors.shape[1:] != (3, CROP, CROP):
        raise ValueError(f"DINO takes tensors of shape (3, {CROP}, {CROP}), not {tuple(tensors.shape[1:])}")
    levels = (tensors.float().cpu() * STD + MEAN) * 255.0
    rounded = levels.round().clamp(0, 255)
    margin = (RESIZE - CROP) // 2
    pixels = F.pad(rounded, (margin,) * 4).to(torch.uint8).permute(0, 2, 3, 1)
    return pixels.contiguous().numpy(), float((levels - rounded).abs().max())


def encode(image: npt.NDArray[np.uint8]) -> bytes:
    """An image (H, W, 3) as binary PPM, which costs nothing to write."""
    height, width, _ = image.shape
    return b"P6 %d %d 255\n" % (width, height) + image.tobytes()

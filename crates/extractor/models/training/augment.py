"""Multi-crop augmentation, vectorised over the batch (one random draw per image)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class View:
    """How one family of crops is drawn."""

    size: int  # side of the crop handed to the network, pixels
    area: tuple[float, float]  # range of the cropped area, fraction of the image's area
    count: int  # crops per image


# Crops are smaller than the 28-pixel images: objects keep about their size, and steps cost less.
GLOBAL_VIEW = View(size=24, area=(0.6, 1.0), count=2)
LOCAL_VIEW = View(size=12, area=(0.25, 0.6), count=4)

ASPECT = 1.2  # width over height is drawn log-uniformly from [1 / ASPECT, ASPECT]
# Brightness and texture must tell little, or the network learns them instead of shape.
GAMMA = 2.2  # grey levels are raised to a power drawn log-uniformly from [1 / GAMMA, GAMMA]
GAIN = (0.4, 1.2)  # then multiplied by this; unlike an offset, it keeps the background black
BLUR_PROBABILITY = 0.5
_BLUR_KERNEL = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]).div(16)[None, None]


def _uniform(count: int, low: float, high: float) -> torch.Tensor:
    return torch.empty(count).uniform_(low, high)


def random_resized_crop(images: torch.Tensor, view: View) -> torch.Tensor:
    """Crop, flip and resize (bilinear) images (B, 1, H, W) to (B, 1, size, size)."""
    batch = images.shape[0]
    area = _uniform(batch, *view.area)
    root_aspect = _uniform(batch, -math.log(ASPECT), math.log(ASPECT)).div(2).exp()
    # In affine_grid's coordinates the image spans [-1, 1], so these are half-sides there.
    width = (area.sqrt() * root_aspect).clamp(max=1.0)
    height = (area.sqrt() / root_aspect).clamp(max=1.0)
    theta = torch.zeros(batch, 2, 3)
    theta[:, 0, 0] = width * torch.randint(0, 2, (batch,)).mul(2).sub(1)
    theta[:, 1, 1] = height
    theta[:, 0, 2] = (1 - width) * _uniform(batch, -1, 1)
    theta[:, 1, 2] = (1 - height) * _uniform(batch, -1, 1)
    grid = F.affine_grid(theta, [batch, 1, view.size, view.size], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def photometric_jitter(images: torch.Tensor) -> torch.Tensor:
    """Random gamma, gain and 3x3 binomial blur of images (B, 1, H, W) in [0, 1]."""
    batch = images.shape[0]
    gamma = _uniform(batch, -math.log(GAMMA), math.log(GAMMA)).exp().view(-1, 1, 1, 1)
    gain = _uniform(batch, *GAIN).view(-1, 1, 1, 1)
    images = (images.pow(gamma) * gain).clamp(0, 1)
    # Blending with the blurred image by a random weight stands for a random radius.
    blurred = F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), _BLUR_KERNEL)
    weight = _uniform(batch, 0, 1) * (torch.rand(batch) < BLUR_PROBABILITY)
    return images.lerp(blurred, weight.view(-1, 1, 1, 1))


def crops(images: torch.Tensor, view: View) -> torch.Tensor:
    """All of a view's crops of images (B, 1, H, W): (count * B, 1, size, size), crop-major."""
    return photometric_jitter(random_resized_crop(images.repeat(view.count, 1, 1, 1), view))

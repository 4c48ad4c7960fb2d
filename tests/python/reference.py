"""The same features by the tools that DINO's authors use: Pillow, torchvision and PyTorch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets.folder import pil_loader
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

PREPROCESS = Compose(
    [
        Resize(256, InterpolationMode.BICUBIC, antialias=True),
        CenterCrop(224),
        ToTensor(),
        Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)

# Lowest cosine between our features and PyTorch's for one image, from the file's bytes on. The graph agrees to
# 1 - 1e-9; what is left is the rounding of decoded and resized pixels, most of it from JPEGs with halved colour
# resolution: 0.99997. The wrong filter (bilinear) gave 0.9994, a crop one pixel off 0.995.
LEAST_COSINE = 0.9999
# Highest cosine between two photographs, 0.93 in PyTorch with these weights: features that are nearly the same
# for every image would pass any comparison.
MOST_COSINE_BETWEEN = 0.95


def pixels(files: list[Path]) -> Tensor:
    """f32 (N, 3, 224, 224), normalised."""
    return torch.stack([PREPROCESS(pil_loader(file)) for file in files])


@torch.inference_mode()
def tokens(model: torch.nn.Module, images: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Tokens (N, tokens, D) that leave `block`, counted from 0, and those after the model's last norm."""
    captured: list[Tensor] = []
    hook = model.blocks[block].register_forward_hook(lambda _module, _inputs, output: captured.append(output))
    last = model.forward_features(images)
    hook.remove()
    return captured[0], last


def assert_same(actual: Tensor, expected: Tensor) -> None:
    """Rows (N, D) agree, and different rows differ."""
    assert actual.shape == expected.shape
    actual, expected = (torch.nn.functional.normalize(rows.double()) for rows in (actual, expected))
    cosines = actual @ expected.T
    same = cosines.diagonal().min().item()
    between = cosines.fill_diagonal_(-1.0).max().item()
    print(f"lowest cosine {same:.7f}, highest between different photographs {between:.4f}")
    assert between <= MOST_COSINE_BETWEEN
    assert same >= LEAST_COSINE

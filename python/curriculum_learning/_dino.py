"""Tensors for a DINO model that runs in the server, as files that it feeds to the model as they are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from curriculum_learning._data import first_of
from curriculum_learning._extractors import Device, FeatureExtractor
from curriculum_learning._progress import counted

DINO_MODELS = ("dino_vits16", "dino_vits8", "dino_vitb16", "dino_vitb8")

# Pixels a side of the models' input.
SIDE = 224


class ServerDino(FeatureExtractor):
    """A DINO backbone that the server runs, on floating-point tensors (3, 224, 224).

    The model is given the loader's tensors themselves, as it would be in this process: they are not resized, normalised
    or cut. They are sent in f16, which keeps a value to one part in 2,048; a batch with values beyond 65,504, where f16
    ends, is sent in f32.

    ValueError for a model of another name.
    """

    def __init__(self, model: str = "dino_vits16") -> None:
        if model not in DINO_MODELS:
            raise ValueError(f"unknown DINO model {model!r}: use one of {', '.join(DINO_MODELS)}")
        self.model = model

    def extract_features(self, data_loader: DataLoader[Any], device: Device) -> Tensor:
        """Refuses with TypeError: the features stay in the server."""
        raise TypeError(f"{self.model} runs in the server, which keeps the features; fit gives difficulties")

    def tensors(self, loader: DataLoader[Any]) -> Iterator[list[bytes]]:
        """The loader's samples as `.npy` files, a batch at a time; errors as for `encode`."""
        for batch in counted(loader, "images", loader):
            yield encode(first_of(batch))


def encode(tensors: Tensor) -> list[bytes]:
    """Tensors (B, 3, 224, 224) as one `.npy` file each, in f16 where that holds them all.

    TypeError for integers, such as images that no transform has scaled; ValueError for tensors of another shape, which
    the models do not take, and for values that are not finite.
    """
    if not tensors.is_floating_point():
        raise TypeError(f"DINO takes floating-point tensors, not {tensors.dtype}: add a transform such as ToTensor")
    if tensors.ndim != 4 or tensors.shape[1:] != (3, SIDE, SIDE):
        found = tuple(tensors.shape[1:])
        raise ValueError(f"DINO takes tensors of shape (3, {SIDE}, {SIDE}), not {found}: resize them in a transform")
    values = tensors.detach().to("cpu", torch.float32).numpy()
    if not np.isfinite(values).all():
        raise ValueError("a tensor holds a value that is not finite")
    holds = np.abs(values).max(initial=0.0) <= np.finfo(np.float16).max
    return [_npy(value) for value in (values.astype(np.float16) if holds else values)]


def _npy(array: np.ndarray[Any, np.dtype[np.floating[Any]]]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()

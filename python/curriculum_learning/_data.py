"""Batches and labels of what users call a dataset."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, RandomSampler


def as_loader(dataset: Any, batch_size: int) -> DataLoader[Any]:  # noqa: ANN401 - whatever a loader takes
    """The loader itself, or one over the dataset in its order."""
    if not isinstance(dataset, DataLoader):
        return DataLoader(dataset, batch_size=batch_size, shuffle=False)
    if isinstance(dataset.sampler, RandomSampler):
        warnings.warn(
            "the loader shuffles: difficulties follow the order of its batches, not that of the dataset",
            stacklevel=3,
        )
    return dataset


def first_of(batch: Any) -> torch.Tensor:  # noqa: ANN401 - whatever the user's loader gives
    """The input in a batch: the batch itself, or the first of a tuple or list. TypeError for anything else."""
    first = batch[0] if isinstance(batch, tuple | list) else batch
    if not isinstance(first, torch.Tensor):
        raise TypeError(f"a batch is a tensor, or a tuple or list that begins with one, not {type(first).__name__}")
    return first


def find_labels(loader: DataLoader[Any], labels: Any | None) -> npt.NDArray[Any] | None:  # noqa: ANN401
    """Those given, else the dataset's `targets`, else its `labels`, as an array."""
    for candidate in (labels, getattr(loader.dataset, "targets", None), getattr(loader.dataset, "labels", None)):
        if candidate is not None:
            return _as_array(candidate)
    return None


def _as_array(labels: Any) -> npt.NDArray[Any]:  # noqa: ANN401
    if isinstance(labels, torch.Tensor):
        return np.asarray(labels.cpu())
    try:
        return np.asarray(labels)
    except ValueError:
        # Rows of different lengths, such as boxes.
        return np.asarray(labels, dtype=object)

"""What `save_weights` writes and `load_weights` reads: an npz of three plain arrays, no pickle."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# First byte of a pickle of protocol 2 and later, and of a .npy file, in which the original pickled a dictionary.
PICKLE_MARK, NPY_MARK = b"\x80", b"\x93"


@dataclass(frozen=True)
class Saved:
    """The results of a fit that a later process needs."""

    weights: npt.NDArray[Any]
    """Difficulties (N,)."""
    labels: npt.NDArray[Any] | None
    """(N,), if there were any."""
    clusters: int | None
    """Number of clusters, in each class if they were fitted by class."""


def write(path: str | Path, saved: Saved) -> None:
    """Writes to exactly `path`, whatever it ends with."""
    arrays: dict[str, npt.NDArray[Any]] = {"weights": saved.weights}
    if saved.labels is not None:
        # As text where they are Python objects, which only a pickle could hold.
        arrays["labels"] = saved.labels.astype(str) if saved.labels.dtype == object else saved.labels
    if saved.clusters is not None:
        arrays["optimal_clusters"] = np.array(saved.clusters)
    with Path(path).open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read(path: str | Path) -> Saved:
    """FileNotFoundError; ValueError for a file of another kind, which for a pickle says what to do."""
    path = Path(path)
    if path.suffix == ".npy" and not path.exists() and path.with_suffix("").exists():
        path = path.with_suffix("")
    with path.open("rb") as file:
        mark = file.read(1)
    if mark in (PICKLE_MARK, NPY_MARK):
        raise ValueError(
            f"{path} is a pickle, which can run any code when it is read: "
            "if you trust it, turn it into an npz with curriculum_learning.convert_legacy(path, out)"
        )
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no file that save_weights wrote")
    with np.load(path, allow_pickle=False) as arrays:
        if "weights" not in arrays:
            raise ValueError(f"{path} is no file that save_weights wrote: it has no array `weights`")
        clusters = arrays.get("optimal_clusters")
        return Saved(arrays["weights"], arrays.get("labels"), None if clusters is None else int(clusters))

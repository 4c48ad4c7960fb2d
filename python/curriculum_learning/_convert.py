"""Old saved files, which are pickles, turned into npz."""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from curriculum_learning import _files

# Under which the difficulties, labels and number of clusters may lie, in a dictionary or as attributes.
_WEIGHTS = ("weights_", "weights", "difficulty_weights")
_LABELS = ("labels_", "labels")
_CLUSTERS = ("optimal_clusters_", "optimal_clusters", "n_clusters")

# What arrays, tensors and plain containers need in order to be built. Nothing here runs code of the file's.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    ("torch", "device"),
    ("torch._utils", "_rebuild_tensor_v2"),
    *(
        (module, name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name in ("_reconstruct", "scalar")
    ),
    *((module, "_frombuffer") for module in ("numpy.core.numeric", "numpy._core.numeric")),
}


def convert_legacy(path: str | Path, out: str | Path) -> None:
    """Reads a file that the original library pickled and writes what `load_weights` takes.

    Only arrays, tensors and containers are built; anything else in the file, such as a model or a k-means object, is
    passed over without running its code. Read only files you trust nevertheless: a warning says so.

    FileNotFoundError; ValueError when there are no difficulties in it.
    """
    warnings.warn(f"reading the pickle {path}: convert only files that you trust, once, and keep the npz", stacklevel=2)
    content = _load(Path(path))
    weights = _find(content, _WEIGHTS)
    if weights is None:
        raise ValueError(f"{path} has no difficulties: looked for {', '.join(_WEIGHTS)}")
    labels, clusters = _find(content, _LABELS), _find(content, _CLUSTERS)
    saved = _files.Saved(
        weights=_array(weights),
        labels=None if labels is None else _array(labels),
        clusters=None if clusters is None else int(clusters),
    )
    if saved.weights.ndim != 1 or not np.issubdtype(saved.weights.dtype, np.floating):
        raise ValueError(f"the difficulties in {path} are {saved.weights.dtype} {saved.weights.shape}, not one each")
    _files.write(out, saved)


class _Opaque:
    """Stands for an object of a class that is not built."""

    def __init__(self, *_arguments: object, **_named: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)

    # A pickle fills lists, sets and dictionaries, and what derives from them, by these.
    def append(self, _item: object) -> None: ...

    def extend(self, _items: object) -> None: ...

    def __setitem__(self, _key: object, _value: object) -> None: ...


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - classes and functions
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _storage
        if (module, name) in _ALLOWED:
            return super().find_class(module, name)
        # No dots: they lead from a name to its attributes, and from those of a function to everything.
        if module == "numpy.dtypes" and re.fullmatch(r"\w+DType", name, re.ASCII):
            found = super().find_class(module, name)
            return found if isinstance(found, type) and issubclass(found, np.dtype) else _Opaque
        return _Opaque


def _storage(content: bytes) -> object:
    return torch.load(io.BytesIO(content), weights_only=True)


def _load(path: Path) -> object:
    if zipfile.is_zipfile(path):  # by torch.save
        # Before PyTorch 2.5 such a file can hold tensors, but no arrays.
        allowing = getattr(torch.serialization, "safe_globals", nullcontext)
        with allowing(_numpy_globals()):
            return torch.load(path, map_location="cpu", weights_only=True)
    with path.open("rb") as file:
        if file.read(1) != _files.NPY_MARK:
            file.seek(0)
            return _Restricted(file).load()
        file.seek(0)
        return _item(file)


def _item(file: BinaryIO) -> object:
    """The dictionary in a .npy file that np.save made of it: a pickle of an array behind a header."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, kind = np.lib.format.read_array_header_2_0(file)
    array = _Restricted(file).load() if kind.hasobject and shape == () else None
    return array.item() if isinstance(array, np.ndarray) else None


def _numpy_globals() -> list[Callable[..., Any]]:
    scalar = np.float64(0)
    return [np.ndarray, np.dtype, type(np.dtype("f4")), type(np.dtype("f8")), type(np.dtype("i8")),
            np.empty(0).__reduce__()[0], scalar.__reduce__()[0]]  # fmt: skip


def _find(content: object, names: tuple[str, ...]) -> Any | None:  # noqa: ANN401
    fields = content if isinstance(content, dict) else vars(content) if isinstance(content, _Opaque) else {}
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _array(values: Any) -> np.ndarray:  # noqa: ANN401
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)

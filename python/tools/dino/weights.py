"""State dicts: read from a file, loaded into a model."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

from . import ExportError

# Where training checkpoints keep the weights of the network, in order of preference.
CONTAINERS = ("teacher", "model", "state_dict")
PREFIXES = ("module.", "backbone.")
# Parts of a checkpoint, and the one of a model, that features do not pass through.
HEADS = ("head.", "fc.")
MASK_TOKEN = "mask_token"


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name, without the prefixes of data-parallel training and DINO's wrapper, and without heads.

    Only tensors are unpickled, never code. Raises ExportError for a file that is no state dict.
    """
    loaded = read_any(path)
    for container in CONTAINERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(container), dict):
            loaded = loaded[container]
            break
    is_state = isinstance(loaded, dict) and all(isinstance(value, torch.Tensor) for value in loaded.values())
    if not is_state or not loaded:
        raise ExportError(f"--weights {path}: holds no state dict, that is tensors by name")
    state = {}
    for name, tensor in loaded.items():
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        if not name.startswith(HEADS):
            state[name] = tensor
    return state


def read_any(path: Path) -> object:
    """What the file holds, by its suffix. Raises ExportError if it cannot be read."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # installed with timm

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ExportError(f"--weights {path}: is damaged, or holds more than tensors and plain values") from error
    except Exception as error:  # what a damaged file raises has no common base
        raise ExportError(f"--weights {path}: {type(error).__name__}: {' '.join(str(error).split())}") from error


def load(model: nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    """Sets every parameter of `model`. Raises ExportError if one is missing, left over or of another shape."""
    state = {name: tensor for name, tensor in state.items() if name != MASK_TOKEN}
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ExportError(f"--weights {path}: {' '.join(str(error).split())}") from error
    missing = [name for name in missing if name != MASK_TOKEN]
    for names, problem in ((missing, "lacks"), (unexpected, "has, and the model has not,")):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ExportError(f"--weights {path}: {problem} {', '.join(names[:3])}{more}")

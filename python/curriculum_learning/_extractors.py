"""Features by a model in this process."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from curriculum_learning._data import first_of

Device: TypeAlias = torch.device | str


class FeatureExtractor(ABC):
    """Turns the samples of a loader into vectors. Write a subclass for a model that needs its own treatment."""

    @abstractmethod
    def extract_features(self, data_loader: DataLoader[Any], device: Device) -> Tensor:
        """One row per sample, in the loader's order: (N, D), floating point."""


class PretrainedModelExtractor(FeatureExtractor):
    """Runs a module over the loader; the first element of a tuple or list batch is its input.

    `feature_layer` names a module inside `model`, with dots as in `named_modules()`, whose output (its first element if
    it is a tuple) is taken instead of the model's. Outputs of more than two dimensions are averaged over the third and
    later ones, as they always were: for (B, C, H, W) that is the spatial mean, for (B, tokens, C) it averages away the
    channels, and a warning says so.

    With `normalize_features`, each dimension gets mean 0 and deviation 1 over the dataset, then each row length 1.

    ValueError when there is no module of that name.
    """

    def __init__(self, model: nn.Module, feature_layer: str | None = None, normalize_features: bool = True) -> None:
        self.model = model
        self.feature_layer = feature_layer
        self.normalize_features = normalize_features
        self._layer = _find_layer(model, feature_layer) if feature_layer is not None else None
        self._warned_of_tokens = False

    def extract_features(self, data_loader: DataLoader[Any], device: Device = "cpu") -> Tensor:
        """(N, D) f32 on the CPU, normalised if asked for."""
        features = torch.cat(list(self.raw_batches(data_loader, device)))
        return normalize(features) if self.normalize_features else features

    def raw_batches(self, data_loader: DataLoader[Any], device: Device) -> Iterator[Tensor]:
        """The model's vectors before normalisation, a batch (B, D) f32 at a time, on the CPU.

        The model is moved to `device`; it runs in evaluation mode, and is back in the mode it had afterwards.
        """
        self.model.to(device)
        with _evaluating(self.model):
            for batch in data_loader:
                with torch.no_grad():
                    output = self._output(first_of(batch).to(device))
                yield self._pool(output).float().cpu()

    def _output(self, inputs: Tensor) -> Tensor:
        if self._layer is None:
            return _first(self.model(inputs))
        caught: list[Tensor] = []
        hook = self._layer.register_forward_hook(lambda _module, _inputs, output: caught.append(_first(output)))
        try:
            self.model(inputs)
        finally:
            hook.remove()
        if not caught:
            raise ValueError(f"the model's forward pass does not come through {self.feature_layer!r}")
        return caught[-1]

    def _pool(self, output: Tensor) -> Tensor:
        if output.ndim == 3 and not self._warned_of_tokens:
            self._warned_of_tokens = True
            warnings.warn(
                f"outputs of shape {tuple(output.shape)} are averaged over their last axis, which in (batch, tokens, "
                "channels) are the channels; to average tokens instead, wrap the model so that it returns "
                "output.mean(dim=1) or the class token output[:, 0]",
                stacklevel=2,
            )
        return output.flatten(2).mean(dim=2) if output.ndim > 2 else output.reshape(len(output), -1)


def normalize(features: Tensor) -> Tensor:
    """Deviation with n - 1; rows of unit L2 norm."""
    centred = features - features.mean(dim=0)
    return F.normalize(centred / (features.std(dim=0) + 1e-6), dim=1)


def _find_layer(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise ValueError(f"the model has no module {name!r}; see model.named_modules()") from None


def _first(output: Tensor | tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    return output[0] if isinstance(output, tuple | list) else output


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training

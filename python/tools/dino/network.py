"""The PyTorch module whose output becomes the graph's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from . import ExportError
from .architecture import Choice, Preprocessing
from .weights import load, read_state


@dataclass(frozen=True)
class Network:
    """A model in evaluation mode, f32, on the CPU.

    `features` maps images (batch, 3, crop, crop) to (batch, tokens, D) or, of a network without tokens,
    (batch, D, h, w). `prefix_tokens` come before those of patches, the class token first if there is one.
    """

    model: nn.Module
    features: Callable[[nn.Module, Tensor], Tensor]
    prefix_tokens: int
    has_class_token: bool
    preprocessing: Preprocessing
    description: str


def build(choice: Choice, *, repository: str | None, weights: Path | None, seed: int | None) -> Network:
    """The network with pretrained weights, those of a file, or, if there is a seed, those it is initialised with.

    Raises ExportError for an unknown name, a failed download, weights that do not fit, or features of a
    shape that cannot be used.
    """
    pretrained = weights is None and seed is None
    torch.manual_seed(seed or 0)
    if choice.source == "torch.hub":
        network = from_hub(choice, repository, pretrained)
    elif repository is not None:
        raise ExportError("--hub-repository needs --source torch.hub")
    else:
        network = from_timm(choice, pretrained)
    if weights is not None:
        state = read_state(weights)
        if isinstance(network.model, VisionTransformer):
            # Knows the names of other releases, and resamples the position embedding to the crop.
            state = checkpoint_filter_fn(state, network.model)
        load(network.model, state, weights)
    network.model.eval().requires_grad_(False)
    check_features(network)
    return network


def from_timm(choice: Choice, pretrained: bool) -> Network:
    """Without its classifier, at the size of the crop."""
    name = choice.timm_name
    if not timm.is_model(name):
        raise ExportError(f"{choice.name}: timm has no model {name}")
    data_config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    preprocessing = choice.preprocessing(data_config)
    try:
        model = timm.create_model(name, pretrained=pretrained, num_classes=0, img_size=preprocessing.crop)
    except TypeError:
        # A network of convolutions, which takes any size.
        model = create(lambda: timm.create_model(name, pretrained=pretrained, num_classes=0), name)
    except Exception as error:
        raise unavailable(name, error) from error
    return Network(
        model,
        lambda model, images: model.forward_features(images),
        getattr(model, "num_prefix_tokens", 0),
        getattr(model, "cls_token", None) is not None,
        preprocessing,
        choice.description,
    )


def from_hub(choice: Choice, repository: str | None, pretrained: bool) -> Network:
    """The authors' own code; a repository that is a folder is used as it is."""
    assert choice.alias is not None
    repository = repository or choice.alias.repository
    source = "local" if Path(repository).is_dir() else "github"
    model = create(
        lambda: torch.hub.load(repository, choice.name, source=source, pretrained=pretrained, trust_repo=True),
        f"{choice.name} of {repository}",
    )
    registers = getattr(model, "num_register_tokens", 0)
    features = dinov2_tokens if choice.name.startswith("dinov2_") else dino_tokens
    return Network(model, features, 1 + registers, True, choice.preprocessing(), choice.description)


def dino_tokens(model: nn.Module, images: Tensor) -> Tensor:
    """All tokens after the last norm; the model's own forward returns the class token only."""
    return model.get_intermediate_layers(images, n=1)[0]


def dinov2_tokens(model: nn.Module, images: Tensor) -> Tensor:
    """Class token, registers, patches, after the last norm."""
    parts = model.forward_features(images)
    names = ("x_norm_clstoken", "x_norm_regtokens", "x_norm_patchtokens")
    class_token, registers, patches = (parts[name] for name in names)
    return torch.cat([class_token.unsqueeze(1), registers, patches], dim=1)


def create(make: Callable[[], nn.Module], what: str) -> nn.Module:
    """`make()`, whose failures have no common base: network, disk, hub, architecture."""
    try:
        return make()
    except Exception as error:
        raise unavailable(what, error) from error


def unavailable(what: str, error: Exception) -> ExportError:
    return ExportError(f"{what}: cannot be built or downloaded: {type(error).__name__}: {' '.join(str(error).split())}")


@torch.inference_mode()
def check_features(network: Network) -> None:
    """Raises ExportError unless features have a shape that the extractor pools."""
    side = network.preprocessing.crop
    try:
        shape = tuple(network.features(network.model, torch.zeros(1, 3, side, side)).shape)
    except (RuntimeError, AssertionError) as error:
        raise ExportError(f"cannot take images of {side}x{side}: {' '.join(str(error).split())}") from error
    width = getattr(network.model, "num_features", None) or getattr(network.model, "embed_dim", None)
    is_tokens = len(shape) == 3 and shape[2] == width and shape[1] > network.prefix_tokens
    is_map = len(shape) == 4 and shape[1] == width
    if not is_tokens and not is_map:
        raise ExportError(f"its features have shape {shape}, not (batch, tokens, {width}) or (batch, {width}, h, w)")

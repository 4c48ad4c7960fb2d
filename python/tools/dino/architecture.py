"""Which architecture a name means, where it comes from and what it is fed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from . import ExportError

SOURCES = ("timm", "torch.hub")
DEFAULT_SOURCE = "timm"

# The extractor's own limit.
MAX_SIDE = 2048


@dataclass(frozen=True)
class Alias:
    """A model of Facebook Research under the name it has in torch.hub."""

    timm: str
    repository: str
    description: str


ALIASES = {
    "dino_vits16": Alias("vit_small_patch16_224.dino", "facebookresearch/dino:main", "DINO ViT-S/16, ImageNet-1K"),
    "dino_vitb16": Alias("vit_base_patch16_224.dino", "facebookresearch/dino:main", "DINO ViT-B/16, ImageNet-1K"),
    "dino_vits8": Alias("vit_small_patch8_224.dino", "facebookresearch/dino:main", "DINO ViT-S/8, ImageNet-1K"),
    "dino_vitb8": Alias("vit_base_patch8_224.dino", "facebookresearch/dino:main", "DINO ViT-B/8, ImageNet-1K"),
    "dinov2_vits14": Alias(
        "vit_small_patch14_dinov2.lvd142m", "facebookresearch/dinov2:main", "DINOv2 ViT-S/14, LVD-142M"
    ),
    "dinov2_vitb14": Alias(
        "vit_base_patch14_dinov2.lvd142m", "facebookresearch/dinov2:main", "DINOv2 ViT-B/14, LVD-142M"
    ),
}


@dataclass(frozen=True)
class Preprocessing:
    """torchvision's Resize, CenterCrop, ToTensor, Normalize; sides in pixels, mean and std per channel RGB."""

    resize: int
    crop: int
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if not 1 <= self.crop <= self.resize <= MAX_SIDE:
            raise ExportError(f"crop {self.crop} and resize {self.resize}: must be 1 <= crop <= resize <= {MAX_SIDE}")
        if self.interpolation not in ("bicubic", "bilinear"):
            raise ExportError(f"its interpolation is {self.interpolation}; the extractor has bicubic and bilinear")


@dataclass(frozen=True)
class Choice:
    """What to build: a timm name or a torch.hub entry, and what the user asked to be fed to it."""

    name: str
    source: str
    alias: Alias | None
    crop: int | None
    resize: int | None

    @classmethod
    def resolve(cls, name: str, source: str, *, crop: int | None, resize: int | None) -> Choice:
        """Raises ExportError for a hub model that is not in ALIASES; timm's names are checked when built."""
        alias = ALIASES.get(name)
        if source == "torch.hub" and alias is None:
            raise ExportError(f"{name}: from torch.hub only {', '.join(ALIASES)}; other models with --source timm")
        return cls(name, source, alias, crop, resize)

    @property
    def timm_name(self) -> str:
        """The name that timm knows it by."""
        return self.alias.timm if self.alias else self.name

    @property
    def description(self) -> str:
        """One line for the entry."""
        return self.alias.description if self.alias else f"{self.name} of timm"

    def preprocessing(self, timm_config: dict[str, Any] | None = None) -> Preprocessing:
        """Of a DINO model as its authors evaluate it, 256 then 224; of another as `timm_config`, its data
        config, says. --crop keeps the ratio of the two.
        """
        if self.alias or timm_config is None:
            crop = 224 if self.crop is None else self.crop
            return Preprocessing(math.floor(crop * 256 / 224) if self.resize is None else self.resize, crop)
        if timm_config["crop_mode"] != "center" and self.resize is None:
            raise ExportError(
                f"{self.name}: its crop mode is {timm_config['crop_mode']}; give --resize to use a centre crop"
            )
        channels, height, width = timm_config["input_size"]
        if channels != 3 or height != width:
            raise ExportError(f"{self.name}: its input is {channels}x{height}x{width}, not a square of three channels")
        crop = height if self.crop is None else self.crop
        return Preprocessing(
            math.floor(crop / timm_config["crop_pct"]) if self.resize is None else self.resize,
            crop,
            timm_config["interpolation"],
            tuple(timm_config["mean"]),
            tuple(timm_config["std"]),
        )

"""The images that are extracted, as JSONL manifests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .outcome import Unusable

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
# Different images that are made; a manifest repeats them.
MADE = 256
SIZE = (500, 375)


def gather(images: Path | None, folder: Path) -> list[Path]:
    """The files of a folder, in the order of their names, or made ones. Raises Unusable if there are none."""
    if images is None:
        return make(folder)
    files = sorted(file.resolve() for file in images.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise Unusable(f"--images {images}: no images there")
    return files


def make(folder: Path) -> list[Path]:
    """JPEGs with the spectrum of photographs: noise at four scales, the coarser the stronger; quality 90."""
    try:
        from PIL import Image
    except ImportError as error:
        raise Unusable("give --images: without Pillow none can be made") from error
    width, height = SIZE
    random = np.random.default_rng(0)
    files = []
    for index in range(MADE):
        pixels = np.full((height, width, 3), 128.0)
        for scale, strength in ((125, 45.0), (25, 25.0), (5, 10.0), (1, 4.0)):
            coarse = random.normal(size=(height // scale, width // scale, 3)) * strength
            planes = (Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(coarse, 2, 0))
            channels = [np.asarray(plane.resize(SIZE, Image.Resampling.BICUBIC)) for plane in planes]
            pixels += np.stack(channels, axis=2)
        files.append(folder / f"{index:04}.jpg")
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(files[-1], quality=90)
    return files


def manifest(files: list[Path], count: int, file: Path, start: int = 0) -> Path:
    """Writes a manifest of `count` samples, from `start` on in the endless repetition of `files`."""
    lines = []
    for index in range(start, start + count):
        lines.append(json.dumps({"id": f"{index:08}", "path": str(files[index % len(files)])}) + "\n")
    file.write_text("".join(lines), encoding="utf-8")
    return file

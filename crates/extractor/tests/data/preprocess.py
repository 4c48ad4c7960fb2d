"""Writes preprocess.f32: torchvision's preprocessing of the cases below, for src/preprocess/tests.rs.

Each case is a (3, crop, crop) array of little-endian f32, one after the other, in CASES' order.
Needs numpy, pillow and torchvision (made with pillow 13.0 and torchvision 0.29).

Usage: python preprocess.py
"""

from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

RESIZE, CROP = 20, 16
# Width, height, interpolation; the offsets of 20x33 and 20x35 are 8.5 and 9.5 before rounding.
CASES = [
    (97, 61, "bicubic"),
    (61, 97, "bilinear"),
    (20, 33, "bicubic"),
    (20, 35, "bicubic"),
    (9, 7, "bicubic"),
    (400, 3, "bicubic"),
    (1, 64, "bicubic"),
    (640, 480, "bilinear"),
    (640, 480, "bicubic"),
    (12, 12, "bicubic"),
    (12, 31, "bicubic"),
    (64, 1, "bilinear"),
    (1, 1, "bicubic"),
    (2, 1, "bicubic"),
    (3, 4001, "bicubic"),
    (4001, 3, "bilinear"),
    (1, 16384, "bicubic"),
    (19, 15, "bilinear"),
    (16, 1999, "bicubic"),
]


def picture(width: int, height: int) -> Image.Image:
    """Smooth ramps and hard edges, by integer arithmetic that the Rust test repeats."""
    y, x, c = np.ogrid[:height, :width, :3]
    ramp = 3 * x + 5 * y + 40 * c
    edges = 90 * ((x // 7 + y // 5 + c) % 2)
    return Image.fromarray(((ramp + edges) % 256).astype(np.uint8))


def main() -> None:
    with (Path(__file__).parent / "preprocess.f32").open("wb") as file:
        for width, height, interpolation in CASES:
            transform = Compose(
                [
                    Resize(RESIZE, InterpolationMode(interpolation), antialias=True),
                    CenterCrop(CROP),
                    ToTensor(),
                    Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
                ]
            )
            pixels = transform(picture(width, height)).numpy()
            assert pixels.shape == (3, CROP, CROP)
            file.write(pixels.astype("<f4").tobytes())


if __name__ == "__main__":
    main()

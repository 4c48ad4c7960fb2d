"""Writes features.f32, the embedded model's class tokens of the images below, for tests/extract.rs.

Run it again whenever the model changes. One row of D little-endian f32 per image, in IMAGES' order,
from torchvision's preprocessing and ONNX Runtime's Python package (made with 1.32). The two small
images are the first of Fashion-MNIST's test set (MIT licence, Zalando SE); pass its folder to make
them again. `colour.png` is preprocess.py's picture, so that a resize is part of the check.

Usage: python features.py [FASHION_MNIST_FOLDER]
"""

import gzip
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from preprocess import picture
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

HERE = Path(__file__).parent
MODEL = HERE.parents[1] / "models" / "dino_fashion.onnx"
IMAGES = ["fashion_0.png", "fashion_1.png", "colour.png"]


def write_images(folder: Path) -> None:
    raw = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    pixels = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)
    for name, image in zip(IMAGES, pixels, strict=False):
        Image.fromarray(image).save(HERE / name, optimize=True)
    picture(97, 61).save(HERE / "colour.png", optimize=True)


def main() -> None:
    if len(sys.argv) > 1:
        write_images(Path(sys.argv[1]))
    entry = tomllib.loads(MODEL.with_suffix(".toml").read_text())
    steps = entry["preprocessing"]
    transform = Compose(
        [
            Resize(steps["resize"], InterpolationMode(steps["interpolation"]), antialias=True),
            CenterCrop(steps["crop"]),
            ToTensor(),
            Normalize(steps["mean"], steps["std"]),
        ]
    )
    pixels = np.stack([transform(Image.open(HERE / name).convert("RGB")).numpy() for name in IMAGES])
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    (features,) = session.run([entry["output"]], {entry["input"]: pixels})
    (HERE / "features.f32").write_bytes(features.astype("<f4").tobytes())


if __name__ == "__main__":
    main()

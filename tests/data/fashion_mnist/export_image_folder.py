"""Write a whole Fashion-MNIST split as an image folder: OUT_DIR/CLASS/NNNNN.png.

Usage: python export_image_folder.py OUT_DIR [--split train|test] [--dataset DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from idx import CLASSES, DEFAULT_DATASET, encode_png, load, member_name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--split", choices=("train", "test"), default="train")
    parser.add_argument("--dataset", type=Path, default=DEFAULT_DATASET, help="folder of IDX files")
    options = parser.parse_args()

    for name in CLASSES:
        (options.out_dir / name).mkdir(parents=True, exist_ok=True)
    images, labels = load(options.dataset, options.split)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        (options.out_dir / member_name(label, index)).write_bytes(encode_png(image))


if __name__ == "__main__":
    main()

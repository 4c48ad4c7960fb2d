"""Write train-2000.tar: the first 200 training images of each Fashion-MNIST class.

The archive is a WebDataset shard whose labels are its folders. Its bytes depend only on the data
set and on the PNG encoder (Pillow and its zlib).

Usage: python make_tar.py [--dataset DIR] [--out train-2000.tar]
"""

from __future__ import annotations

import argparse
import io
import tarfile
from pathlib import Path

import numpy as np

from idx import CLASSES, DEFAULT_DATASET, encode_png, load, member_name

PER_CLASS = 200
DEFAULT_OUT = Path(__file__).resolve().parent / "train-2000.tar"


def first_of_each_class(labels: np.ndarray) -> np.ndarray:
    """Ascending indices of the first `PER_CLASS` images of every class."""
    per_class = [np.flatnonzero(labels == label)[:PER_CLASS] for label in range(len(CLASSES))]
    return np.sort(np.concatenate(per_class))


def add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Append a file whose header holds nothing of the machine that wrote it."""
    member = tarfile.TarInfo(name)  # mtime, uid and gid default to 0
    member.size = len(content)
    member.mode = 0o644
    archive.addfile(member, io.BytesIO(content))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, default=DEFAULT_DATASET, help="folder of IDX files")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    options = parser.parse_args()

    images, labels = load(options.dataset, "train")
    with tarfile.open(options.out, "w", format=tarfile.USTAR_FORMAT) as archive:
        for index in first_of_each_class(labels):
            add_member(archive, member_name(labels[index], index), encode_png(images[index]))


if __name__ == "__main__":
    main()

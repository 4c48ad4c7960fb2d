"""Models and images of the benchmarks, made from what the repository holds."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
EXPORTER = REPOSITORY / "python/tools/export_dino.py"
PHOTOGRAPHS = REPOSITORY / "crates/extractor/tests/data/images"
SMALL = REPOSITORY / "tests/data/fashion_mnist/train-2000.tar"

# Width and height; ImageNet's photographs are 500x375 more often than anything else.
SIZES = ((500, 375), (375, 500), (500, 333), (480, 360), (640, 480))
# Shares of a photograph's largest part with the right proportions that a crop of it covers, by side.
LEAST_CROP, MOST_CROP = 0.7, 1.0
QUALITY = 90
# Pixels by which small images are moved, at most, to make others of them.
MOST_MOVED = 7


def export_vits16(folder):
    """DINO's ViT-S/16 with random weights: the speed is that of trained ones."""
    file = folder / "dino_vits16.onnx"
    command = [sys.executable, EXPORTER, "dino_vits16", "--random-weights", "--out", file]
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
    return file


def write_photographs(folder, count):
    """An image folder of `count` different JPEGs in the sizes of SIZES: crops of the tests' photographs."""
    generator = np.random.default_rng(1)
    sources = [Image.open(PHOTOGRAPHS / name).convert("RGB") for name in ("astronaut.jpg", "chelsea.jpg", "coffee.jpg")]
    images = folder / "photographs"
    images.mkdir(parents=True)
    for index in range(count):
        source, size = sources[index % len(sources)], SIZES[index % len(SIZES)]
        share = generator.uniform(LEAST_CROP, MOST_CROP)
        scale = share * min(source.width / size[0], source.height / size[1])
        width, height = scale * size[0], scale * size[1]
        left, top = generator.uniform(0, source.width - width), generator.uniform(0, source.height - height)
        crop = source.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
        crop.save(images / f"{index:05}.jpg", quality=QUALITY)
    return folder


def write_small_images(file, count):
    """A tar of `count` grey 28x28 PNGs: Fashion-MNIST's in the repository, moved about to make more of them."""
    moves = [(x, y) for x in range(-MOST_MOVED, MOST_MOVED + 1) for y in range(-MOST_MOVED, MOST_MOVED + 1)]
    moves.sort(key=lambda move: abs(move[0]) + abs(move[1]))
    with tarfile.open(SMALL) as archive:
        small = [(member.name, archive.extractfile(member).read()) for member in archive if member.isfile()]
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as archive:
        for index in range(count):
            name, content = small[index % len(small)]
            pixels = np.roll(np.asarray(Image.open(io.BytesIO(content))), moves[index // len(small)], axis=(0, 1))
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, format="PNG")
            member = tarfile.TarInfo(f"{Path(name).parent}/{index:06}.png")
            member.size = buffer.tell()
            archive.addfile(member, io.BytesIO(buffer.getvalue()))
    return file

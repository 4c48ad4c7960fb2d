"""torchvision's preprocessing of a folder's images: peers.py FOLDER RESIZE CROP ROUNDS SECONDS

Prints images per second on one thread, the best of ROUNDS rounds of SECONDS. The files are read
once, before the clock starts; each image is opened, decoded and converted as torchvision's default
loader does it.
"""

import sys
import time
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor


def main():
    folder, resize, crop, rounds, seconds = sys.argv[1:]
    torch.set_num_threads(1)
    transform = Compose(
        [
            Resize(int(resize), InterpolationMode.BICUBIC, antialias=True),
            CenterCrop(int(crop)),
            ToTensor(),
            Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    files = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    best = 0.0
    for _ in range(int(rounds)):
        start, images = time.perf_counter(), 0
        while time.perf_counter() - start < float(seconds):
            for file in files:
                transform(Image.open(BytesIO(file)).convert("RGB"))
            images += len(files)
        best = max(best, images / (time.perf_counter() - start))
    print(best)


if __name__ == "__main__":
    main()

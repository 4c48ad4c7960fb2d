"""PyTorch in eager mode with a DataLoader, over the same images; run as a script, in a process of its own.

Prints one JSON object. Exit code 3: PyTorch, torchvision or timm are not installed. Weights are drawn, since
they do not change the time. What is timed begins when the first batch is through the model: start-up of
workers and kernels is not counted, and the batches loaded ahead meanwhile are in PyTorch's favour.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

try:
    import timm
    import torch
    from torch.utils.data import DataLoader, Dataset
    from torchvision.datasets.folder import pil_loader
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor
except ImportError:
    sys.exit(3)

DTYPES = {"f32": torch.float32, "f16": torch.float16}


class Images(Dataset):
    """The files of a manifest, preprocessed as DINO's authors do: f32 (3, 224, 224)."""

    def __init__(self, manifest: Path) -> None:
        self.files = [json.loads(line)["path"] for line in manifest.read_text(encoding="utf-8").splitlines()]
        self.transform = Compose(
            [
                Resize(256, InterpolationMode.BICUBIC, antialias=True),
                CenterCrop(224),
                ToTensor(),
                Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(pil_loader(self.files[index]))


@torch.inference_mode()
def images_per_second(loader: DataLoader, model: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> float:
    """Of all batches but the first, or of all if there is one only; features end in the CPU's memory."""
    images, begin = 0, time.perf_counter()
    for index, batch in enumerate(loader):
        # Reading the features back waits for the device.
        features = model(batch.to(device, dtype, non_blocking=True)).float().cpu()
        if index == 0 and len(loader) > 1:
            begin = time.perf_counter()
        else:
            images += len(features)
    return images / (time.perf_counter() - begin)


def main() -> None:
    """Times one model and prints the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("model", help="timm's name")
    parser.add_argument("--device", type=torch.device, required=True)
    parser.add_argument("--dtype", choices=DTYPES, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    options = parser.parse_args()
    on_device = options.device.type == "cuda"
    # As in our own session: TF32 would be another precision.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    model = timm.create_model(options.model, pretrained=False, num_classes=0, img_size=224).eval()
    model = model.to(options.device, DTYPES[options.dtype])
    loader = DataLoader(Images(options.manifest), options.batch_size, num_workers=options.workers, pin_memory=on_device)
    speed = images_per_second(loader, model, options.device, DTYPES[options.dtype])
    print(json.dumps({"images_per_second": speed, "torch": torch.__version__}))


if __name__ == "__main__":
    main()

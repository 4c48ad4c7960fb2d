"""The quick start of the original library's README: ImageNet, DINO, and a training loop with weights per iteration.

    python quick_start.py --imagenet ./data
    python quick_start.py --samples 64            # random images

The server of this machine runs DINO, which it fetches from the model hub once; --server takes another. A sampler that
follows the iteration by itself, and knows ranks and resuming, is `curriculum.torch.CurriculumSampler`.
"""

from __future__ import annotations

import argparse

import torch
import torchvision
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler
from torchvision import transforms

from curriculum_learning import create_curriculum_learning_with_dino

# Weights below this count as not drawn.
NEGLIGIBLE = 1e-5

transform = transforms.Compose(
    [
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    ]
)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    dataset = images(options)
    subset = torch.utils.data.Subset(dataset, list(range(options.samples)))
    _, curriculum = create_curriculum_learning_with_dino(
        dataset=subset,
        device=options.device,
        dino_model="dino_vits16",
        batch_size=256,
        initial_effective_percentage=0.15,
        warmup_iterations=options.warmup,
        server=options.server,
    )
    train_loader = DataLoader(subset, batch_size=options.batch_size)
    for epoch in range(options.epochs):
        for i in range(len(train_loader)):
            current_iter = epoch * len(train_loader) + i
            weights = curriculum.get_curriculum_weights(current_iteration=current_iter)
            sampler = WeightedRandomSampler(weights, len(subset), replacement=True)
            data, _labels = next(iter(DataLoader(subset, batch_size=options.batch_size, sampler=sampler)))
            report(curriculum, weights, current_iter)
            train_step(data)


def report(curriculum: object, weights: object, iteration: int) -> None:
    """The share of samples with more than negligible weight, and the temperature that draws such a share."""
    share = float((torch.as_tensor(weights) > NEGLIGIBLE).float().mean())
    temperature = curriculum._compute_temperature(share)
    print(f"iteration {iteration}: {share:.1%} of the samples, temperature {temperature:.4f}")


def train_step(data: torch.Tensor) -> None:
    """Yours."""
    assert torch.isfinite(data).all()


def images(options: argparse.Namespace) -> Dataset:
    """ImageNet, or as many random images."""
    if options.imagenet is not None:
        return torchvision.datasets.ImageNet(root=options.imagenet, split="train", transform=transform)
    return torchvision.datasets.FakeData(options.samples, (3, 256, 256), transform=transform)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--imagenet", help="folder with ImageNet's archives; without it images are random")
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--warmup", type=int, default=5_000, help="iterations")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--server", help="HOST:PORT of a server that runs dino_vits16")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

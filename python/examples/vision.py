"""Vision: images with labels, clustered inside each class, and a small classifier trained on the curriculum.

python vision.py --folder imagenet/train
python vision.py --samples 64                 # random images
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from curriculum_learning import create_curriculum_learning_with_dino
from quick_start import report, transform

CLASSES = 10


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    dataset = images(options)
    _, curriculum = create_curriculum_learning_with_dino(
        dataset=dataset,
        use_labels=True,
        device=options.device,
        initial_effective_percentage=0.2,
        warmup_iterations=3000,
        server=options.server,
    )
    print(f"{curriculum.optimal_clusters_} clusters in each class")
    model = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.LazyLinear(int(max(dataset.targets)) + 1))
    model.to(options.device)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    for iteration in range(options.iterations):
        weights = curriculum.get_curriculum_weights(current_iteration=iteration)
        sampler = WeightedRandomSampler(weights, options.batch_size, replacement=True)
        data, labels = next(iter(DataLoader(dataset, batch_size=options.batch_size, sampler=sampler)))
        loss = F.cross_entropy(model(data.to(options.device)), labels.to(options.device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        report(curriculum, weights, iteration)


class RandomImages(torchvision.datasets.FakeData):
    """Random images that have `targets`, as torchvision's real datasets do."""

    def __init__(self, samples: int) -> None:
        super().__init__(samples, (3, 256, 256), CLASSES, transform=transform)
        self.targets = [index % CLASSES for index in range(samples)]

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return super().__getitem__(index)[0], self.targets[index]


def images(options: argparse.Namespace) -> Dataset:
    """A folder of class folders, or random images."""
    if options.folder is not None:
        return torchvision.datasets.ImageFolder(options.folder, transform=transform)
    return RandomImages(options.samples)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="folder of class folders; without it images are random")
    parser.add_argument("--samples", type=int, default=50_000, help="random images")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--server", help="HOST:PORT of a server that runs dino_vits16")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

"""Audio: spectrograms as tensors (3, 224, 224), through DINO, in 20 clusters and without labels.

    python audio.py --samples 64

The model in the server is given the spectrograms as they are, in f16: no image could hold them.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor
from torch.utils.data import Dataset

from curriculum_learning import create_curriculum_learning_with_dino
from quick_start import report


class Spectrograms(Dataset):
    """Random ones, each the same whenever it is asked for."""

    def __init__(self, samples: int) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Tensor:
        if index >= self.samples:
            raise IndexError(index)
        return torch.randn(3, 224, 224, generator=torch.Generator().manual_seed(index))


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    weights, curriculum = create_curriculum_learning_with_dino(
        dataset=Spectrograms(options.samples),
        # Counts only with auto_select_clusters=False, as it always did.
        n_clusters=min(20, options.samples),
        auto_select_clusters=False,
        use_labels=False,
        device=options.device,
        initial_effective_percentage=0.12,
        warmup_iterations=4000,
        server=options.server,
    )
    print(f"difficulties of {len(weights):,} spectrograms: mean {weights.mean():.3f}")
    for iteration in (0, 1000, 2000, 3999, 4000):
        report(curriculum, curriculum.get_curriculum_weights(current_iteration=iteration), iteration)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=3_000, help="30,000 in the original's example")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--server", help="HOST:PORT of a server that runs dino_vits16")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

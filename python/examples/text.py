"""Text: embeddings of 768 dimensions through a network of the user's, with 12 labels, clustered inside each label.

    python text.py

The original's example starts at 0.08, which its own range check refuses; this one starts at 0.12.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn
from torch.utils.data import TensorDataset

from curriculum_learning import create_curriculum_learning
from quick_start import report

EMBEDDING = 768
LABELS = 12


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    torch.manual_seed(0)
    text_embedding_model = nn.Sequential(
        nn.Linear(EMBEDDING, 512), nn.ReLU(), nn.Dropout(0.1), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 128)
    )
    text_dataset = TensorDataset(torch.randn(options.samples, EMBEDDING))
    text_dataset.labels = torch.arange(options.samples) % LABELS
    weights, curriculum = create_curriculum_learning(
        model=text_embedding_model,
        dataset=text_dataset,
        use_labels=True,
        device=options.device,
        initial_effective_percentage=0.12,
        warmup_iterations=8000,
        server=options.server,
    )
    print(f"difficulties of {len(weights):,} texts, {curriculum.optimal_clusters_} clusters in each class")
    for iteration in (0, 2000, 4000, 7999, 8000):
        report(curriculum, curriculum.get_curriculum_weights(current_iteration=iteration), iteration)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=4_000, help="40,000 in the original's example")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--server", help="HOST:PORT; without it a local one starts")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

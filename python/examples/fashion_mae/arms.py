"""One training run: the same model, steps and masks, and batches from one of the arms."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch

from fashion_mae.data import Split, normalise
from fashion_mae.evaluation import evaluate
from fashion_mae.model import PATCHES, MaskedAutoencoder

LEARNING_RATE = 1e-3
LEARNING_RATE_WARMUP = 0.1  # share of the steps
WEIGHT_DECAY = 0.05
BETAS = (0.9, 0.95)

# The curriculum of the paper, and what it is compared with at equal steps.
ARMS = ("curriculum", "uniform", "reversed", "shuffled")


@dataclass(frozen=True)
class Run:
    """What one run was, and the scores it reached."""

    arm: str
    seed: int
    scores: dict[str, dict[str, float]]
    """Accuracies by number of steps."""
    loss: float
    """Mean of the last tenth of the steps."""
    distinct: int
    """Training images that were drawn at least once."""
    seconds: float
    """Of training, without evaluation."""


def train(
    batches: Iterator[list[int]],
    arm: str,
    seed: int,
    steps: int,
    data: tuple[Split, Split, Split],
    device: torch.device,
) -> Run:
    """Trains for `steps` on `batches` of indices, scored half-way and at the end.

    `data` is what to train on, and the bank and the queries of the evaluation. Initial weights and masks depend on
    `seed` alone, so that arms of one seed differ in their batches only.
    """
    images, bank, test = data
    torch.manual_seed(seed)
    model = MaskedAutoencoder().to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY)
    masks = torch.Generator().manual_seed(seed)
    drawn = torch.zeros(len(images.labels), dtype=torch.bool)
    losses, scores, seconds = [], {}, 0.0
    for step in range(steps):
        began = time.perf_counter()
        batch = torch.tensor(next(batches))
        drawn[batch] = True
        noise = torch.rand(len(batch), PATCHES, generator=masks).to(device)
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * learning_rate(step / steps)
        loss = model(normalise(images.images[batch].to(device)), noise)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        seconds += time.perf_counter() - began
        if step + 1 in (steps // 2, steps):
            scores[str(step + 1)] = asdict(evaluate(model.features, bank, test, device))
    last = losses[-max(1, steps // 10) :]
    return Run(arm, seed, scores, sum(last) / len(last), int(drawn.sum()), seconds)


def learning_rate(progress: float) -> float:
    """Share of the peak: a linear rise, then half a cosine down to 0."""
    if progress < LEARNING_RATE_WARMUP:
        return progress / LEARNING_RATE_WARMUP
    return (1 + math.cos(math.pi * (progress - LEARNING_RATE_WARMUP) / (1 - LEARNING_RATE_WARMUP))) / 2

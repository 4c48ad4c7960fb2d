"""How good frozen features are: k-nearest neighbours and a linear probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from fashion_mae.data import Split, normalise

NEIGHBOURS = 20
# Votes weigh exp(cosine / TEMPERATURE), as in DINO (Caron et al. 2021).
TEMPERATURE = 0.07
CLASSES = 10
PROBE_STEPS = 100
# On the standardised features, the same for every arm; not tuned.
PROBE_L2 = 1e-4


@dataclass(frozen=True)
class Score:
    """Accuracies on the test images, in [0, 1]."""

    knn: float
    linear: float


@torch.inference_mode()
def extract(model: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Features (N, D) f32 on `device` of images (N, 28, 28) u8."""
    return torch.cat([model(normalise(part.to(device))).float() for part in images.split(500)])


def evaluate(model: Callable[[torch.Tensor], torch.Tensor], train: Split, test: Split, device: torch.device) -> Score:
    """Scores `model`'s features of `test` by those of `train`."""
    bank, queries = extract(model, train.images, device), extract(model, test.images, device)
    bank_labels, labels = train.labels.to(device), test.labels.to(device)
    return Score(knn_accuracy(bank, bank_labels, queries, labels), linear_accuracy(bank, bank_labels, queries, labels))


def knn_accuracy(bank: torch.Tensor, bank_labels: torch.Tensor, queries: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of `queries` (M, D) that a weighted vote of the nearest in `bank` (N, D) by cosine gets right."""
    bank, queries = F.normalize(bank), F.normalize(queries)
    correct = 0
    for part, truth in zip(queries.split(500), labels.split(500), strict=True):
        cosine, index = (part @ bank.T).topk(NEIGHBOURS, dim=1)
        votes = torch.zeros(len(part), CLASSES, device=part.device)
        votes.scatter_add_(1, bank_labels[index], (cosine / TEMPERATURE).exp())
        correct += int((votes.argmax(dim=1) == truth).sum())
    return correct / len(queries)


def linear_accuracy(
    bank: torch.Tensor, bank_labels: torch.Tensor, queries: torch.Tensor, labels: torch.Tensor
) -> float:
    """Share of `queries` that multinomial logistic regression on the standardised `bank` gets right."""
    mean, deviation = bank.mean(dim=0), bank.std(dim=0) + 1e-6
    bank, queries = (bank - mean) / deviation, (queries - mean) / deviation
    weight = torch.zeros(bank.shape[1], CLASSES, device=bank.device, requires_grad=True)
    bias = torch.zeros(CLASSES, device=bank.device, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=PROBE_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(bank @ weight + bias, bank_labels) + PROBE_L2 * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.inference_mode():
        return float(((queries @ weight + bias).argmax(dim=1) == labels).float().mean())

"""k-NN accuracy on Fashion-MNIST of the exported model, its untrained twin and raw pixels.

Usage: python evaluate.py [--dataset DIR] [--model ../dino_fashion.onnx]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
import torch.nn.functional as F

from data import DEFAULT_DATASET, Split, load_split, to_model_input
from model import VisionTransformer

NEIGHBOURS = 20
TEMPERATURE = 0.07  # votes weigh exp(cosine / TEMPERATURE), as in the DINO paper
DEFAULT_MODEL = Path(__file__).resolve().parent.parent / "dino_fashion.onnx"
DEFAULT_SEED = 0

Extractor = Callable[[torch.Tensor], torch.Tensor]


@torch.inference_mode()
def extract(extractor: Extractor, grey: torch.Tensor, batch: int = 500) -> torch.Tensor:
    """Unit-length features (N, D) of grey images (N, 1, 28, 28) in [0, 1]."""
    return torch.cat([F.normalize(extractor(part), dim=1) for part in grey.split(batch)])


def knn_accuracy(bank: torch.Tensor, bank_labels: torch.Tensor, queries: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of unit-length `queries` (M, D) that a weighted k-NN over `bank` (N, D) gets right."""
    correct = 0
    for part, truth in zip(queries.split(500), labels.split(500), strict=True):
        cosine, index = (part @ bank.T).topk(NEIGHBOURS, dim=1)
        votes = torch.zeros(len(part), 10)
        votes.scatter_add_(1, bank_labels[index], (cosine / TEMPERATURE).exp())
        correct += int((votes.argmax(dim=1) == truth).sum())
    return correct / len(queries)


def knn_from_images(extractor: Extractor, train: Split, test: Split) -> float:
    """k-NN accuracy of `extractor` on `test` with `train` as the bank."""
    bank = extract(extractor, train.images)
    queries = extract(extractor, test.images)
    return knn_accuracy(bank, train.labels, queries, test.labels)


def raw_pixels(grey: torch.Tensor) -> torch.Tensor:
    """The 784 grey levels themselves."""
    return grey.flatten(1)


def network(model: VisionTransformer) -> Extractor:
    """Extractor over grey images for a PyTorch network."""
    return lambda grey: model(to_model_input(grey))


def untrained(seed: int) -> Extractor:
    """The network exactly as training with `seed` starts from."""
    torch.manual_seed(seed)
    return network(VisionTransformer().eval())


def exported(path: Path) -> Extractor:
    """The ONNX file, run by ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(grey: torch.Tensor) -> torch.Tensor:
        feed = {"pixel_values": to_model_input(grey).contiguous().numpy()}
        return torch.from_numpy(session.run(["class_token"], feed)[0])

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, default=DEFAULT_DATASET, help="folder of IDX files")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="exported ONNX file")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of the training run")
    options = parser.parse_args()

    train, test = load_split(options.dataset, "train"), load_split(options.dataset, "t10k")
    rows = {
        "DINO features, trained": exported(options.model),
        "same network, untrained": untrained(options.seed),
        "raw pixels": raw_pixels,
    }
    print(f"{NEIGHBOURS}-NN, cosine, {len(train.labels)} train -> {len(test.labels)} test")
    for name, extractor in rows.items():
        print(f"{name:<25}{knn_from_images(extractor, train, test):.4f}", flush=True)


if __name__ == "__main__":
    main()

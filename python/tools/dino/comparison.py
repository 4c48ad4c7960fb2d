"""ONNX Runtime's features beside PyTorch's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import torch
from torch.nn.functional import cosine_similarity

from . import ExportError
from .graph import DTYPES, INPUT, Graph
from .network import Network

# Neither is the batch that the graph was traced with.
BATCHES = (1, 3)
# Of every vector of D features, against PyTorch in f32. Untrained ViTs gave 1 - 1e-9 in f32 and 1 - 3e-7 in f16;
# trained ones have larger activations, hence the wide margin for f16.
LEAST_COSINE = {"f32": 0.99999, "f16": 0.999}


@dataclass(frozen=True)
class Agreement:
    """The largest absolute difference of a feature, and the lowest cosine of a vector of features."""

    batch: int
    shape: tuple[int, ...]
    largest_difference: float
    lowest_cosine: float

    def __str__(self) -> str:
        return (
            f"batch {self.batch}: shape {self.shape}, largest difference {self.largest_difference:.2e}, "
            f"lowest cosine {self.lowest_cosine:.8f}"
        )


@torch.inference_mode()
def compare(network: Network, file: Path, batch: int, *, output: str, dtype: str) -> Agreement:
    """Runs both on the same normal noise, which is what normalised pixels are like.

    Raises ExportError if ONNX Runtime cannot run the file or they disagree.
    """
    side = network.preprocessing.crop
    images = torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(batch))
    expected = Graph(network, output)(images)
    try:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (ran,) = session.run(None, {INPUT: images.to(DTYPES[dtype]).numpy()})
    except Exception as error:  # ONNX Runtime's errors derive from Exception alone
        raise ExportError(f"ONNX Runtime cannot run the graph: {error}") from error
    actual = torch.from_numpy(ran)
    if actual.shape != expected.shape:
        raise ExportError(
            f"batch {batch}: ONNX Runtime gives shape {tuple(actual.shape)}, PyTorch {tuple(expected.shape)}"
        )
    agreement = Agreement(
        batch,
        tuple(actual.shape),
        (actual - expected).abs().max().item(),
        cosine_similarity(actual.double(), expected.double(), dim=1 if actual.ndim == 4 else -1).min().item(),
    )
    if not agreement.lowest_cosine >= LEAST_COSINE[dtype]:  # also when it is NaN
        raise ExportError(f"ONNX Runtime and PyTorch disagree: {agreement}; at least {LEAST_COSINE[dtype]} is required")
    return agreement

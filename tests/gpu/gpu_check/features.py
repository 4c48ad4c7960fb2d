"""Features of the device beside those of the CPU, and evidence of where they were made."""

from __future__ import annotations

import numpy as np

from .bench import Bench
from .outcome import Outcome

LEAST_COSINE = {"f32": 0.9999, "f16": 0.999}
# Above it, features say too little of their image for a comparison to mean anything.
MOST_COSINE_BETWEEN = 0.999
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}


def unit_rows(features: np.ndarray) -> np.ndarray:
    """(N, D) in f64, of length 1."""
    rows = features.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def lowest_cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Of two (N, D), row by row; NaN if one row is not finite or zero, -1 if the shapes differ."""
    if first.shape != second.shape:
        return -1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        return float((unit_rows(first) * unit_rows(second)).sum(axis=1).min())


def agreement(bench: Bench) -> list[Outcome]:
    """f32 and f16 on the device against f32 on the CPU."""
    settings = bench.settings
    manifest = bench.manifest(min(settings.compared, len(bench.files)))
    expected = bench.extract("cpu-f32", manifest, provider="cpu").features
    rows = unit_rows(expected)
    between = float(np.median(rows[1:] @ rows[0]))
    told_apart = between <= MOST_COSINE_BETWEEN
    outcomes = [
        Outcome.of("images differ", told_apart, f"median cosine to the first image {between:.4f}", between=between)
    ]
    for dtype, least in LEAST_COSINE.items():
        found = bench.extract(f"device-{dtype}", manifest, provider=settings.provider, dtype=dtype)
        lowest = lowest_cosine(found.features, expected)
        detail = f"lowest cosine of {len(expected)} images {lowest:.7f}, at least {least}"
        outcomes.append(Outcome.of(f"features in {dtype}", lowest >= least, detail, lowest_cosine=lowest))
    return outcomes


def provider(bench: Bench) -> list[Outcome]:
    """Nodes by provider as the binary counts them, and the memory that the model must take on a device."""
    settings = bench.settings
    manifest = bench.manifest(min(settings.compared, len(bench.files)))
    outcomes = []
    for dtype in LEAST_COSINE:
        run = bench.extract(f"device-{dtype}", manifest, provider=settings.provider, dtype=dtype)
        nodes = run.said.get("nodes_by_provider") or {}
        wanted = nodes.get(PROVIDERS[settings.provider], 0)
        detail = ", ".join(f"{count} nodes on {name}" for name, count in nodes.items()) or "no nodes reported"
        holds = run.said.get("provider") == settings.provider and wanted > sum(nodes.values()) - wanted
        outcomes.append(Outcome.of(f"provider in {dtype}", holds, detail, nodes_by_provider=nodes))
        if run.memory is not None:
            model = settings.model_f16 or settings.model if dtype == "f16" else settings.model
            rise, weights = run.memory.peak - run.memory.before, model.stat().st_size
            detail = f"{rise:,} bytes more on the device, the model has {weights:,}"
            outcomes.append(Outcome.of(f"weights on the device, {dtype}", rise >= weights, detail, rise=rise))
    return outcomes

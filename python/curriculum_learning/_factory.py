"""The original's two functions that do everything in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from curriculum_learning._dino import ServerDino
from curriculum_learning._extractors import Device, FeatureExtractor, PretrainedModelExtractor
from curriculum_learning._learning import CPU, CurriculumLearning

Result = tuple[npt.NDArray[np.floating[Any]], CurriculumLearning]


def create_curriculum_learning(
    model: nn.Module,
    dataset: Any,  # noqa: ANN401 - whatever a DataLoader takes, or a loader
    n_clusters: int | None = None,
    use_labels: bool = False,
    device: Device = CPU,
    initial_effective_percentage: float = 0.3,
    warmup_iterations: int = 1000,
    **kwargs: Any,  # noqa: ANN401 - of CurriculumLearning
) -> Result:
    """Difficulties (N,) by the features of `model`, and the fitted `CurriculumLearning`, which takes `kwargs`."""
    return _create(
        PretrainedModelExtractor(model),
        dataset,
        device,
        n_clusters=n_clusters,
        use_labels=use_labels,
        initial_effective_percentage=initial_effective_percentage,
        warmup_iterations=warmup_iterations,
        **kwargs,
    )


def create_curriculum_learning_with_dino(
    dataset: Any,  # noqa: ANN401 - whatever a DataLoader takes, or a loader
    n_clusters: int | None = None,
    use_labels: bool = False,
    device: Device = CPU,
    dino_model: str = "dino_vits16",
    initial_effective_percentage: float = 0.3,
    warmup_iterations: int = 1000,
    **kwargs: Any,  # noqa: ANN401 - of CurriculumLearning
) -> Result:
    """As `create_curriculum_learning`, with a DINO model that the server runs.

    Samples are floating-point tensors (3, 224, 224), which the model is given as they are. `dino_model`: dino_vits16,
    dino_vits8, dino_vitb16 or dino_vitb8. `device` has no effect: the server runs the model on the device that it was
    started with.
    """
    return _create(
        ServerDino(dino_model),
        dataset,
        device,
        n_clusters=n_clusters,
        use_labels=use_labels,
        initial_effective_percentage=initial_effective_percentage,
        warmup_iterations=warmup_iterations,
        **kwargs,
    )


def _create(extractor: FeatureExtractor, dataset: Any, device: Device, **arguments: Any) -> Result:  # noqa: ANN401
    curriculum = CurriculumLearning(extractor, **arguments).fit(dataset, device=device)
    return curriculum.get_difficulty_weights(), curriculum

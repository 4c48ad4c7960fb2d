"""What tests of the drop-in share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from binary import Binary
from curriculum import Server
from curriculum_learning import CurriculumLearning, PretrainedModelExtractor

REPOSITORY = Path(__file__).resolve().parents[2]

# 3,000 features, labels, and what the public code returns for them: start 0.2, warm-up 1000.
GOLDEN = dict(np.load(REPOSITORY / "tests/data/golden/reference_a.npz"))
WARMUP = 1000


def identity_extractor(**options: Any) -> PretrainedModelExtractor:  # noqa: ANN401
    """Features are the samples themselves."""
    return PretrainedModelExtractor(nn.Identity(), **options)


def with_difficulties(difficulty: np.ndarray, **options: Any) -> CurriculumLearning:  # noqa: ANN401
    """As after a fit that gave these difficulties."""
    curriculum = CurriculumLearning(identity_extractor(), **options)
    curriculum.weights_ = difficulty
    return curriculum


@contextmanager
def serving(binary: Binary, folder: Path, model: Path | None = None) -> Iterator[str]:
    """HOST:PORT of a server in `folder`; others that start meanwhile are the same binary."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURRICULUM", str(binary.path))
        patch.setenv("CURRICULUM_CACHE", str(folder / "cache"))
        with Server.local(folder, model=None if model is None else str(model)) as server:
            yield server.address

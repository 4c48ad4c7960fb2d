"""The constructor's arguments as the server has them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Parameters:
    """What a fit is asked for."""

    clusters: int | tuple[int, int] | None
    """Number of clusters (in each class with `by_label`), or the range to search, both ends included."""
    by_label: bool
    normalized: bool
    """Relate distances to their cluster, or class, by minimum and maximum; else leave them as they are."""
    raw: bool
    """Cluster the features as they are, instead of normalising them before."""
    seed: int
    start: float
    """Effective share at iteration 0."""
    ceiling: float
    """Effective share at the end of warm-up."""
    warmup: int
    """Iterations."""

    def for_server(self, samples: int) -> dict[str, object]:
        """Arguments of `curriculum.ingest.submit` for so many samples.

        The server's rule for small clusters is off: the original has none. Its schedule is that of the weights computed
        here, where it can be one: a start at or above the ceiling is uniform throughout.
        """
        # Of N draws from N uniform ones; just above 1 - 1/e.
        uniform = -math.expm1(samples * math.log1p(-1 / samples)) if samples > 1 else 1.0
        ceiling = min(self.ceiling, uniform)
        ramp = self.warmup > 0 and self.start < ceiling
        arguments: dict[str, object] = {
            "clusters": self._clusters(samples),
            "by_label": self.by_label,
            "min_cluster_size": 1,
            "normalization": "cluster_min_max" if self.normalized else "none",
            "feature_normalization": "none" if self.raw else "standard",
            "seed": self.seed,
            "warmup_iterations": self.warmup if ramp else 0,
        }
        if ramp:
            arguments |= {"initial_effective_fraction": self.start, "max_effective_fraction": ceiling}
        return arguments

    def _clusters(self, samples: int) -> int | tuple[int, int] | None:
        if not isinstance(self.clusters, tuple):
            return self.clusters
        least, most = self.clusters[0], min(self.clusters[1], samples)
        return (least, most) if 2 <= least < samples and least <= most else most

"""`CurriculumLearning`: difficulties of a dataset from a server, and weights at an iteration from them."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from curriculum_learning import _files, _temperature
from curriculum_learning._data import as_loader, find_labels
from curriculum_learning._dino import ServerDino
from curriculum_learning._extractors import Device, FeatureExtractor, PretrainedModelExtractor, normalize
from curriculum_learning._parameters import Parameters
from curriculum_learning._progress import counted
from curriculum_learning._server import Session

CPU = torch.device("cpu")

# Up to so many samples the server's k-means sees all of them in every iteration; above, mini-batches.
FULL_KMEANS_SAMPLES = 10_000


class CurriculumLearning:
    """The original's interface; features go to a Curriculum Server, which clusters them.

    `weights_` are the difficulties (N,), 0 for prototypes. Weights at an iteration are computed here from them.

    - `feature_extractor` runs in this process.
    - `n_clusters` counts only with `auto_select_clusters=False`, as it always did; otherwise the number in
      `cluster_range`, both ends included, with the lowest Davies-Bouldin index is taken.
    - `use_labels` clusters inside each class, if there are labels.
    - `normalize_weights=False` leaves distances as they are, instead of relating them to their cluster or class.
    - `use_minibatch_kmeans=False` is what happens up to 10,000 samples, with True too. Above, the server takes
      mini-batches whatever is said, and a warning says so.
    - `initial_effective_percentage` (0.1 to 1) of the samples are drawn at first; the share grows linearly to
      `max_effective_ratio` (0.1 to 1, by default 1 - 1/e, that of uniform draws) at `warmup_iterations`.
    - `server` is HOST:PORT; by default CURRICULUM__SERVER of the environment, else a local one for the time of the fit.
      `name` is the curriculum's name there, under which samplers and other processes find it.

    ValueError for numbers out of range.
    """

    THEORETICAL_MAX_EFFECTIVE_RATIO = _temperature.UNIFORM_RATIO
    MIN_TEMPERATURE = _temperature.MIN_TEMPERATURE
    MAX_TEMPERATURE = _temperature.MAX_TEMPERATURE

    def __init__(
        self,
        feature_extractor: FeatureExtractor,
        n_clusters: int | None = None,
        auto_select_clusters: bool = True,
        cluster_range: tuple[int, int] = (2, 20),
        use_labels: bool = False,
        normalize_weights: bool = True,
        batch_size: int = 256,
        use_minibatch_kmeans: bool = True,
        initial_effective_percentage: float = 0.3,
        warmup_iterations: int = 1000,
        random_state: int | None = 42,
        max_effective_ratio: float | None = None,
        *,
        server: str | None = None,
        name: str = "curriculum_learning",
    ) -> None:
        ratio = self.THEORETICAL_MAX_EFFECTIVE_RATIO if max_effective_ratio is None else max_effective_ratio
        _check_share("initial_effective_percentage", initial_effective_percentage)
        _check_share("max_effective_ratio", ratio)
        if warmup_iterations < 0:
            raise ValueError(f"warmup_iterations must not be negative: {warmup_iterations}")
        self.feature_extractor = feature_extractor
        self.n_clusters = n_clusters
        self.auto_select_clusters = auto_select_clusters
        self.cluster_range = cluster_range
        self.use_labels = use_labels
        self.normalize_weights = normalize_weights
        self.batch_size = batch_size
        self.use_minibatch_kmeans = use_minibatch_kmeans
        self.initial_effective_percentage = initial_effective_percentage
        self.warmup_iterations = warmup_iterations
        self.random_state = random_state
        self.max_effective_ratio = ratio
        self.server = server
        self.name = name
        self.features_: torch.Tensor | None = None
        self.labels_: npt.NDArray[Any] | None = None
        self.weights_: npt.NDArray[Any] | None = None
        self.optimal_clusters_: int | None = None
        self.version_: str | None = None

    def fit(
        self,
        dataset: Any,  # noqa: ANN401 - whatever a DataLoader takes, or a loader
        labels: Any | None = None,  # noqa: ANN401 - array, tensor or list
        device: Device = CPU,
    ) -> CurriculumLearning:
        """Features, clusters and difficulties of a dataset or loader of N samples.

        Labels are those given, else the dataset's `targets`, else its `labels`. Afterwards `features_` is (N, D), or
        None where the server extracted them, and `version_` names the result on the server.

        ValueError with `use_labels` when labels are not one per sample; what `curriculum` raises if the server refuses.
        """
        loader = as_loader(dataset, self.batch_size)
        self.labels_ = find_labels(loader, labels)
        if self.use_labels and self.labels_ is None:
            warnings.warn("use_labels, but neither labels nor dataset.targets nor dataset.labels", stacklevel=2)
        parameters, texts = self._parameters(), self._texts()
        extractor = self.feature_extractor
        with Session(self.server, extractor.model if isinstance(extractor, ServerDino) else None) as session:
            if isinstance(extractor, ServerDino):
                source = session.push_images(extractor.tensors(loader), texts)
                self.features_ = None
            else:
                source = session.push_features(self._features(loader, device), texts)
            self._warn_of_batches(session.samples)
            fitted = session.fit(self.name, source, parameters)
        self.version_ = fitted.version
        self.optimal_clusters_ = fitted.clusters
        # The original's arrays are f32 without labels and f64 with them.
        self.weights_ = fitted.difficulty.astype(np.float64 if parameters.by_label else np.float32)
        return self

    def get_difficulty_weights(self) -> npt.NDArray[Any]:
        """The difficulties (N,), a copy. ValueError before `fit` or `load_weights`."""
        return np.array(self._fitted())

    def get_curriculum_weights(
        self, strategy: str = "difficulty", current_iteration: int = 0, warmup_iterations: int | None = None
    ) -> npt.NDArray[Any]:
        """Sampler weights (N,) at an iteration: f32 of sum one before warm-up ends, ones in f64 from then on.

        `'difficulty'` favours easy samples and `'easy'` hard ones: the names are kept, and say the opposite.

        ValueError for another strategy, and before `fit`.
        """
        sign = _temperature.sign_of(strategy)
        difficulty = self._fitted()
        warmup = self.warmup_iterations if warmup_iterations is None else warmup_iterations
        if current_iteration >= warmup:
            return np.ones(len(difficulty))
        progress = max(0.0, current_iteration / warmup)
        start, end = self.initial_effective_percentage, self.max_effective_ratio
        temperature = self._compute_temperature(start + (end - start) * progress, strategy)
        return _temperature.probabilities(difficulty.astype(np.float64), temperature, sign).astype(np.float32)

    def save_weights(self, filepath: str | Path) -> None:
        """Writes difficulties, labels and number of clusters as npz. ValueError before `fit`."""
        _files.write(filepath, _files.Saved(self._fitted(), self.labels_, self.optimal_clusters_))

    def load_weights(self, filepath: str | Path) -> None:
        """Reads what `save_weights` wrote; the schedule stays that of the constructor, as it always did.

        FileNotFoundError; ValueError for another file, such as a pickle of the original's: `convert_legacy` reads it.
        The original's `save_weights("NAME")` wrote NAME.npy: that name finds NAME too.
        """
        saved = _files.read(filepath)
        self.weights_, self.labels_, self.optimal_clusters_ = saved.weights, saved.labels, saved.clusters
        self.features_ = self.version_ = None

    def _compute_temperature(self, effective_percentage: float, strategy: str = "difficulty") -> float:
        """The temperature at which this share, at most `max_effective_ratio`, of the samples is expected in N draws."""
        difficulty = self._fitted().astype(np.float64)
        share = max(0.0, min(self.max_effective_ratio, effective_percentage))
        return _temperature.temperature_for(difficulty, share, _temperature.sign_of(strategy))

    def _compute_max_temperature(self, strategy: str = "difficulty") -> float:
        """The temperature at the end of warm-up."""
        return self._compute_temperature(self.max_effective_ratio, strategy)

    def _compute_effective_dataset_size(
        self,
        weights: Any,  # noqa: ANN401 - array or tensor
        temperature: float,
        strategy: str = "difficulty",
    ) -> float:
        """The share of distinct samples expected in N draws at a temperature, of N difficulties `weights`: 0 to 1."""
        difficulty = np.asarray(weights, dtype=np.float64)
        return _temperature.effective_size(difficulty, temperature, _temperature.sign_of(strategy)) / len(difficulty)

    def _fitted(self) -> npt.NDArray[Any]:
        if self.weights_ is None:
            raise ValueError("no difficulties yet: call fit or load_weights first")
        return self.weights_

    def _parameters(self) -> Parameters:
        classes = len(np.unique(self.labels_)) if self.use_labels and self.labels_ is not None else None
        least, most = self.cluster_range
        if classes is not None:
            most = min(most, classes)
        return Parameters(
            clusters=(min(least, most), most) if self._searched() else self.n_clusters,
            by_label=classes is not None,
            normalized=self.normalize_weights,
            raw=not self._normalized_by_server(),
            seed=secrets.randbits(32) if self.random_state is None else self.random_state,
            start=self.initial_effective_percentage,
            ceiling=self.max_effective_ratio,
            warmup=self.warmup_iterations,
        )

    def _searched(self) -> bool:
        """Whether the server chooses the number of clusters."""
        return self.n_clusters is None or self.auto_select_clusters

    def _texts(self) -> list[str] | None:
        """Labels for the server, which needs them to cluster inside classes."""
        if not self.use_labels or self.labels_ is None:
            return None
        if self.labels_.ndim != 1:
            raise ValueError(f"labels are one per sample, not of shape {self.labels_.shape}")
        return [str(label) for label in self.labels_]

    def _streamed(self) -> PretrainedModelExtractor | None:
        """The extractor, if its vectors may be sent a batch at a time: unless a subclass has its own way."""
        extractor = self.feature_extractor
        if not isinstance(extractor, PretrainedModelExtractor):
            return None
        own = type(extractor).extract_features is not PretrainedModelExtractor.extract_features
        return None if own else extractor

    def _normalized_by_server(self) -> bool:
        """Only where the extractor would normalise, and the server does so in its place."""
        streamed = self._streamed()
        return isinstance(self.feature_extractor, ServerDino) or (streamed is not None and streamed.normalize_features)

    def _features(self, loader: DataLoader[Any], device: Device) -> Iterator[torch.Tensor]:
        """Rows as the server should have them, kept in `features_` as the extractor gives them."""
        streamed = self._streamed()
        if streamed is not None:
            kept = []
            for batch in counted(streamed.raw_batches(loader, device), "features", loader):
                kept.append(batch)
                yield batch
            features = torch.cat(kept)
            self.features_ = normalize(features) if streamed.normalize_features else features
        else:
            self.features_ = torch.as_tensor(self.feature_extractor.extract_features(loader, device)).float().cpu()
            yield self.features_

    def _warn_of_batches(self, samples: int) -> None:
        """Of a wish for full k-means that the server does not grant."""
        fitted = samples
        if self.use_labels and self.labels_ is not None and not self._searched():
            # k-means runs inside each class alone.
            fitted = int(np.unique(self.labels_, return_counts=True)[1].max())
        if not self.use_minibatch_kmeans and fitted > FULL_KMEANS_SAMPLES:
            warnings.warn(
                f"use_minibatch_kmeans=False: above {FULL_KMEANS_SAMPLES:,} samples, here {fitted:,}, the server takes "
                "mini-batches all the same",
                stacklevel=3,
            )


def _check_share(name: str, value: float) -> None:
    if not 0.1 <= value <= 1.0:
        raise ValueError(f"{name} must be between 0.1 and 1: {value}")

"""The drop-in from features to weights, through a real server."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from binary import Binary
from curriculum import Curriculum
from curriculum.errors import InvalidArgument
from curriculum_learning import (
    CurriculumLearning,
    FeatureExtractor,
    PretrainedModelExtractor,
    create_curriculum_learning,
)
from dropin import GOLDEN, WARMUP, identity_extractor, serving

FEATURES = torch.tensor(GOLDEN["features"])
LABELS = GOLDEN["labels"]

# Of a difficulty, where both found the same clusters: theirs come from f32.
DIFFICULTY = 1e-4


class Samples(Dataset):
    """Vectors, with whatever else a dataset may have."""

    def __init__(self, vectors: torch.Tensor, **attributes: Any) -> None:  # noqa: ANN401
        self.vectors = vectors
        vars(self).update(attributes)

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.vectors[index], -1


@pytest.fixture(scope="module")
def server(binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT."""
    with serving(binary, tmp_path_factory.mktemp("server")) as address:
        yield address


def learning(server: str, **options: Any) -> CurriculumLearning:  # noqa: ANN401
    options = {"n_clusters": 8, "auto_select_clusters": False} | options
    return CurriculumLearning(identity_extractor(), server=server, **options)


@pytest.fixture(scope="module")
def fitted(server: str) -> CurriculumLearning:
    options = {"initial_effective_percentage": 0.2, "warmup_iterations": WARMUP}
    return learning(server, name="golden", **options).fit(Samples(FEATURES))


def test_difficulties_are_the_originals(fitted: CurriculumLearning) -> None:
    found = fitted.get_difficulty_weights()
    assert found.dtype == np.float32 and fitted.optimal_clusters_ == 8
    np.testing.assert_allclose(found, GOLDEN["difficulty_unsupervised"], atol=DIFFICULTY)


def test_features_are_normalised(fitted: CurriculumLearning) -> None:
    expected = identity_extractor().extract_features(DataLoader(FEATURES, batch_size=256), "cpu")
    torch.testing.assert_close(fitted.features_, expected)


@pytest.mark.parametrize("strategy", ["difficulty", "easy"])
@pytest.mark.parametrize("iteration", [0, 100, 500, 900, 999, 1000])
def test_weights_are_the_originals(fitted: CurriculumLearning, strategy: str, iteration: int) -> None:
    weights, expected = fitted.get_curriculum_weights(strategy, iteration), GOLDEN[f"weights_{strategy}_{iteration}"]
    assert weights.dtype == (np.float32 if iteration < WARMUP else np.float64)
    # A difficulty that is 1e-6 off changes a weight by that over the temperature.
    np.testing.assert_allclose(weights, expected, rtol=1e-3)
    assert np.abs(weights - expected).sum() < 1e-4 * expected.sum()


def test_the_servers_curriculum_has_the_same_schedule(server: str, fitted: CurriculumLearning) -> None:
    with Curriculum.connect(server, "golden", fitted.version_, expected_samples=3000) as curriculum:
        np.testing.assert_array_equal(curriculum.difficulty(), fitted.weights_)
        for iteration in (0, 500, 1000):
            ours = fitted.get_curriculum_weights("difficulty", iteration)
            # The search of the drop-in ends where the original's did, the server's at the target itself.
            assert np.abs(ours / ours.sum() - curriculum.weights(iteration)).sum() < 1e-3


def test_the_number_of_clusters_is_searched_for(server: str) -> None:
    for options in ({"auto_select_clusters": True}, {"n_clusters": None}):
        found = learning(server, **options).fit(FEATURES)
        assert found.optimal_clusters_ == GOLDEN["auto_k"]
    np.testing.assert_allclose(found.weights_, GOLDEN["difficulty_unsupervised"], atol=DIFFICULTY)
    # A number counts for nothing unless the search is off, and the range does.
    assert learning(server, auto_select_clusters=True, cluster_range=(2, 3)).fit(FEATURES).optimal_clusters_ in (2, 3)


@pytest.fixture(scope="module")
def supervised(server: str) -> CurriculumLearning:
    return learning(server, n_clusters=4, use_labels=True).fit(Samples(FEATURES, targets=LABELS))


# k-means inside a class of a few hundred samples has many optima: difficulties agree as a whole, not one by one.
def test_supervised_difficulties_agree_with_the_originals(supervised: CurriculumLearning) -> None:
    found = supervised.get_difficulty_weights()
    assert found.dtype == np.float64 and supervised.optimal_clusters_ == 4
    assert np.corrcoef(found, GOLDEN["difficulty_supervised_k4"])[0, 1] > 0.99
    for label in np.unique(LABELS):
        members = found[label == LABELS]
        assert (members.min(), members.max()) == (0.0, 1.0)


def test_labels_come_from_wherever_they_are(server: str, supervised: CurriculumLearning) -> None:
    options = {"n_clusters": 4, "use_labels": True}
    wrong = np.zeros(3000, dtype=int)
    for dataset, labels in (
        (Samples(FEATURES), LABELS),
        (Samples(FEATURES, targets=wrong, labels=wrong), torch.tensor(LABELS)),
        (Samples(FEATURES, targets=LABELS.tolist(), labels=wrong), None),
        (DataLoader(Samples(FEATURES, labels=torch.tensor(LABELS)), batch_size=999), None),
    ):
        found = learning(server, **options).fit(dataset, labels)
        np.testing.assert_array_equal(found.labels_, LABELS)
        # The same version, found again.
        assert found.version_ == supervised.version_


def test_the_search_inside_classes_ends_at_the_number_of_classes(server: str) -> None:
    found = learning(server, use_labels=True, n_clusters=None).fit(FEATURES, LABELS)
    assert found.optimal_clusters_ in (2, 3)
    assert learning(server, use_labels=True, n_clusters=None).fit(FEATURES, LABELS * 0).optimal_clusters_ == 1


def test_without_labels_the_clusters_are_those_of_all(server: str, fitted: CurriculumLearning) -> None:
    with pytest.warns(UserWarning, match="neither labels"):
        found = learning(server, use_labels=True).fit(Samples(FEATURES))
    np.testing.assert_array_equal(found.weights_, fitted.weights_)
    # Nor do labels count without use_labels.
    found = learning(server).fit(Samples(FEATURES, targets=LABELS))
    np.testing.assert_allclose(found.weights_, fitted.weights_, atol=0)


@pytest.mark.parametrize("count", [2999, 3001])
def test_labels_that_are_not_one_each_are_refused(server: str, count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} labels"):
        learning(server, n_clusters=1, use_labels=True).fit(FEATURES, np.zeros(count))


def test_labels_of_another_kind_matter_only_where_they_are_used(server: str, fitted: CurriculumLearning) -> None:
    boxes = [[0.5] * (index % 3) for index in range(3000)]
    found = learning(server).fit(Samples(FEATURES, targets=boxes))
    np.testing.assert_array_equal(found.weights_, fitted.weights_)
    assert found.labels_.shape == (3000,) and found.labels_[2] == [0.5, 0.5]
    with pytest.raises(ValueError, match="one per sample"):
        learning(server, use_labels=True).fit(FEATURES, np.zeros((3000, 2)))


def test_small_classes_are_hardest_and_the_warning_comes_through(server: str) -> None:
    labels = LABELS.copy()
    labels[:3] = 77
    with pytest.warns(UserWarning, match="class"):
        found = learning(server, n_clusters=4, use_labels=True).fit(FEATURES, labels)
    np.testing.assert_array_equal(found.weights_[:3], [1, 1, 1])


def test_an_outlier_in_its_own_cluster_is_a_prototype_as_it_was(server: str) -> None:
    noise = torch.randn(301, 2, generator=torch.Generator().manual_seed(0))
    centres = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).repeat(150, 1)
    vectors = torch.cat([centres, torch.tensor([[0.0, 100.0]])]) + 0.01 * noise
    found = learning(server, n_clusters=3).fit(vectors)
    assert found.weights_[-1] == 0.0 and found.weights_[:-1].mean() > 0.1


def test_loaders_subsets_and_plain_tensors_are_datasets(server: str, fitted: CurriculumLearning) -> None:
    for dataset in (
        FEATURES,
        TensorDataset(FEATURES, torch.tensor(LABELS)),
        DataLoader(Samples(FEATURES), batch_size=700),
        Subset(Samples(torch.cat([FEATURES, FEATURES])), list(range(3000))),
    ):
        np.testing.assert_array_equal(learning(server).fit(dataset).weights_, fitted.weights_)


def test_a_loader_that_shuffles_is_warned_of(server: str) -> None:
    with pytest.warns(UserWarning, match="shuffles"):
        learning(server).fit(DataLoader(FEATURES, batch_size=500, shuffle=True))


def test_distances_stay_as_they_are_unless_normalised(server: str, fitted: CurriculumLearning) -> None:
    found = learning(server, normalize_weights=False).fit(FEATURES)
    assert found.weights_.min() > 0.0 and len(np.unique(found.weights_ == 1.0)) == 1
    assert np.corrcoef(found.weights_, fitted.weights_)[0, 1] > 0.5


class Doubled(FeatureExtractor):
    """As a user writes one."""

    def extract_features(self, data_loader: DataLoader, device: torch.device) -> torch.Tensor:
        return torch.cat([2 * batch for batch in data_loader])


def distances_to_the_mean(vectors: np.ndarray) -> np.ndarray:
    """Those of one cluster, as difficulties."""
    distances = np.linalg.norm(vectors - vectors.mean(0), axis=1)
    return (distances - distances.min()) / np.ptp(distances)


def test_features_that_are_not_normalised_are_clustered_as_they_are(server: str) -> None:
    # On scales that normalisation would even out, and away from the origin.
    vectors = (FEATURES * torch.logspace(-2, 2, 32) + 5).double().numpy()
    dataset = torch.tensor(vectors).float()
    extractor = identity_extractor(normalize_features=False)
    found = CurriculumLearning(extractor, 1, auto_select_clusters=False, server=server).fit(dataset)
    np.testing.assert_allclose(found.weights_, distances_to_the_mean(vectors), atol=DIFFICULTY)
    torch.testing.assert_close(found.features_, dataset)
    normalised = learning(server, n_clusters=1).fit(dataset)
    assert np.abs(normalised.weights_ - found.weights_).max() > 0.1


def test_features_normalised_before_have_the_originals_difficulties(server: str) -> None:
    normalised = identity_extractor().extract_features(DataLoader(FEATURES, batch_size=256), "cpu")
    extractor = identity_extractor(normalize_features=False)
    found = CurriculumLearning(extractor, 8, auto_select_clusters=False, server=server).fit(normalised)
    np.testing.assert_allclose(found.weights_, GOLDEN["difficulty_unsupervised"], atol=DIFFICULTY)


def test_an_extractor_of_ones_own_is_asked_and_nothing_is_normalised(server: str) -> None:
    found = CurriculumLearning(Doubled(), 1, auto_select_clusters=False, server=server).fit(FEATURES)
    torch.testing.assert_close(found.features_, 2 * FEATURES)
    np.testing.assert_allclose(found.weights_, distances_to_the_mean(2.0 * GOLDEN["features"]), atol=DIFFICULTY)


class Halved(PretrainedModelExtractor):
    def extract_features(self, data_loader: DataLoader, device: torch.device) -> torch.Tensor:
        return super().extract_features(data_loader, device)[:, :16]


def test_a_subclass_has_the_last_word(server: str, fitted: CurriculumLearning) -> None:
    found = CurriculumLearning(Halved(nn.Identity()), 8, auto_select_clusters=False, server=server).fit(FEATURES)
    torch.testing.assert_close(found.features_, fitted.features_[:, :16])
    assert (found.weights_ != fitted.weights_).any()


def test_one_call_does_it_all(server: str) -> None:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 8))
    difficulty, curriculum = create_curriculum_learning(
        model, FEATURES, n_clusters=5, auto_select_clusters=False, warmup_iterations=70, batch_size=512, server=server
    )
    np.testing.assert_array_equal(difficulty, curriculum.weights_)
    assert (curriculum.optimal_clusters_, curriculum.warmup_iterations, curriculum.batch_size) == (5, 70, 512)
    again = CurriculumLearning(PretrainedModelExtractor(model), 5, auto_select_clusters=False, server=server)
    np.testing.assert_array_equal(again.fit(FEATURES).weights_, difficulty)


def test_what_the_server_refuses_is_an_error_here(server: str) -> None:
    with pytest.raises(InvalidArgument, match="clusters"):
        learning(server, n_clusters=4000).fit(FEATURES)


# A start at or above the ceiling, or no warm-up, is uniform on the server, and no error.
@pytest.mark.parametrize(
    "options", [{"initial_effective_percentage": 0.9}, {"warmup_iterations": 0}, {"max_effective_ratio": 1.0}]
)
def test_schedules_that_the_original_took_are_taken(server: str, options: dict[str, float]) -> None:
    assert len(learning(server, **options).fit(FEATURES).weights_) == 3000


def test_without_an_address_a_server_starts_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fitted: CurriculumLearning
) -> None:
    monkeypatch.delenv("CURRICULUM__SERVER", raising=False)
    monkeypatch.setenv("CURRICULUM_CACHE", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = CurriculumLearning(identity_extractor(), 8, auto_select_clusters=False).fit(FEATURES)
    np.testing.assert_array_equal(found.weights_, fitted.weights_)
    assert list(tmp_path.iterdir()) == []
    shown = capfd.readouterr().err
    assert "features" in shown and "curriculum_learning:" in shown


def test_the_environments_server_is_taken(
    server: str, monkeypatch: pytest.MonkeyPatch, fitted: CurriculumLearning
) -> None:
    monkeypatch.setenv("CURRICULUM__SERVER", server)
    found = CurriculumLearning(identity_extractor(), 8, auto_select_clusters=False, name="environment").fit(FEATURES)
    with Curriculum.connect(server, "environment") as curriculum:
        assert curriculum.version == found.version_


def test_progress_is_shown_without_tqdm(
    server: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    learning(server).fit(FEATURES)
    assert "features: 12 of 12 batches" in capfd.readouterr().err


def test_a_wish_for_full_k_means_that_is_not_granted_is_warned_of(server: str) -> None:
    options = {"n_clusters": 2, "use_minibatch_kmeans": False}
    vectors = torch.randn(10_001, 2, generator=torch.Generator().manual_seed(0))
    classes = np.arange(10_001) % 2
    with pytest.warns(UserWarning, match="use_minibatch_kmeans=False: above 10,000 samples, here 10,001"):
        learning(server, **options).fit(vectors)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Here it is what happens, or not asked for.
        learning(server, **options).fit(vectors[:-1])
        learning(server, **options, use_labels=True).fit(vectors, classes)
        learning(server, **options | {"use_minibatch_kmeans": True}).fit(vectors)


def test_seeds_choose_among_optima(server: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [learning(server, n_clusters=13, random_state=seed).fit(FEATURES).weights_ for seed in (1, 1, 2, None)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any() and (found[0] != found[3]).any()

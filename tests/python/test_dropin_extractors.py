"""Features by a model of the user's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from curriculum_learning import FeatureExtractor, PretrainedModelExtractor


@pytest.fixture
def vectors() -> Tensor:
    return torch.randn(50, 6, generator=torch.Generator().manual_seed(1))


def loader(samples: Tensor, labels: bool = False) -> DataLoader:
    dataset = TensorDataset(samples, torch.zeros(len(samples))) if labels else samples
    return DataLoader(dataset, batch_size=16)


class Tokens(nn.Module):
    """(B, 6) to (B, 3, 2): as a transformer's tokens."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.unflatten(1, (3, 2))


class Pair(nn.Module):
    def forward(self, inputs: Tensor) -> tuple[Tensor, str]:
        return 2 * inputs, "else"


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 5), Pair(), nn.Identity())
        self.never = nn.Linear(6, 5)
        self.dropout = nn.Dropout(0.9)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.dropout(self.body[1](self.body[0](inputs))[0] + 1.0)


def test_normalised_features_have_mean_0_deviation_1_and_then_length_1(vectors: Tensor) -> None:
    found = PretrainedModelExtractor(nn.Identity()).extract_features(loader(vectors), "cpu")
    values = vectors.double().numpy()
    expected = (values - values.mean(0)) / (values.std(0, ddof=1) + 1e-6)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert found.dtype == torch.float32


@pytest.mark.parametrize("labels", [False, True])
def test_raw_features_are_the_models_outputs_in_evaluation_mode(vectors: Tensor, labels: bool) -> None:
    network = Network().train()
    network.body.eval()
    found = PretrainedModelExtractor(network, normalize_features=False).extract_features(loader(vectors, labels), "cpu")
    torch.testing.assert_close(found, 2 * network.body[0](vectors).detach() + 1.0)
    # Each module is back in the mode it had.
    assert network.training and network.dropout.training and not network.body.training


@pytest.mark.parametrize(("layer", "factor"), [("body.0", 1), ("body.1", 2)])
def test_a_layer_is_taken_by_its_dotted_name(vectors: Tensor, layer: str, factor: int) -> None:
    network = Network()
    extractor = PretrainedModelExtractor(network, feature_layer=layer, normalize_features=False)
    found = extractor.extract_features(loader(vectors), "cpu")
    torch.testing.assert_close(found, factor * network.body[0](vectors).detach())
    # The hook is gone.
    assert not network.get_submodule(layer)._forward_hooks


def test_a_layer_that_is_not_there_or_not_used_is_refused(vectors: Tensor) -> None:
    with pytest.raises(ValueError, match=r"body\.7"):
        PretrainedModelExtractor(Network(), feature_layer="body.7")
    unused = PretrainedModelExtractor(Network(), feature_layer="never")
    with pytest.raises(ValueError, match="does not come through 'never'"):
        unused.extract_features(loader(vectors), "cpu")


def test_tokens_are_averaged_over_channels_with_one_warning(vectors: Tensor) -> None:
    extractor = PretrainedModelExtractor(Tokens(), normalize_features=False)
    with pytest.warns(UserWarning, match="class token") as caught:
        found = extractor.extract_features(loader(vectors), "cpu")
        extractor.extract_features(loader(vectors), "cpu")
    assert len(caught) == 1
    torch.testing.assert_close(found, vectors.unflatten(1, (3, 2)).mean(2))


def test_maps_are_averaged_over_space_without_a_warning() -> None:
    maps = torch.randn(20, 3, 4, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = PretrainedModelExtractor(nn.Identity(), normalize_features=False).extract_features(loader(maps), "cpu")
    torch.testing.assert_close(found, maps.mean((2, 3)))


def test_half_precision_becomes_single(vectors: Tensor) -> None:
    extractor = PretrainedModelExtractor(nn.Identity(), normalize_features=False)
    found = extractor.extract_features(loader(vectors.half()), "cpu")
    torch.testing.assert_close(found, vectors.half().float())


def test_a_batch_that_is_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="not str"):
        PretrainedModelExtractor(nn.Identity()).extract_features(DataLoader(["a", "b"]), "cpu")


def test_an_extractor_must_say_how_it_extracts() -> None:
    with pytest.raises(TypeError, match="extract_features"):
        FeatureExtractor()

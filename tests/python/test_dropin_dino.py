"""DINO in the server, on tensors of this process."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms.v2.functional import normalize

from binary import Binary
from conftest import Exported
from curriculum.errors import CurriculumError, LocalServerError
from curriculum_learning import (
    CurriculumLearning,
    PretrainedModelExtractor,
    create_curriculum_learning_with_dino,
)
from curriculum_learning._dino import ServerDino, encode
from dropin import serving

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

# Of a difficulty: values in f16 are off by one part in 2,048, which changed difficulties by 2e-4.
DIFFICULTY = 1e-3


def photographs(count: int) -> torch.Tensor:
    """u8 (count, 3, 224, 224): smooth in places, rough in others, so that features differ."""
    generator = torch.Generator().manual_seed(11)
    coarse = torch.rand(count, 3, 8, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(224, 224), mode="bicubic").clamp(0, 1)
    rough = torch.rand(count, 3, 224, 224, generator=generator) * torch.linspace(0, 0.5, count).view(-1, 1, 1, 1)
    return ((smooth + rough).clamp(0, 1) * 255).to(torch.uint8)


def as_transformed(images: torch.Tensor) -> torch.Tensor:
    """What ToTensor and Normalize make of them."""
    return normalize(images.float() / 255, MEAN, STD)


@pytest.fixture(scope="module")
def server(binary: Binary, tmp_path_factory: pytest.TempPathFactory, vits16: Exported) -> Iterator[str]:
    """One that runs the ViT-S/16 with drawn weights under the name dino_vits16."""
    with serving(binary, tmp_path_factory.mktemp("server"), vits16.file) as address:
        yield address


def test_a_tensor_is_sent_as_it_is_in_f16() -> None:
    tensors = 3 * torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(5))
    for file, tensor in zip(encode(tensors), tensors, strict=True):
        sent = np.load(io.BytesIO(file), allow_pickle=False)
        assert sent.dtype == np.dtype("<f2") and sent.flags.c_contiguous
        np.testing.assert_array_equal(sent, tensor.half().numpy())
    # Of whatever precision and layout, and with a gradient.
    last = tensors.double().to(memory_format=torch.channels_last).requires_grad_()
    assert encode(last) == encode(tensors)


def test_values_that_f16_cannot_hold_are_sent_in_f32() -> None:
    tensors = torch.zeros(2, 3, 224, 224)
    tensors[1, 2, 3, 4] = 65504.0
    assert np.load(io.BytesIO(encode(tensors)[1])).dtype == np.float16
    tensors[1, 2, 3, 4] = 1e6
    sent = np.load(io.BytesIO(encode(tensors)[1]))
    assert sent.dtype == np.dtype("<f4") and sent[2, 3, 4] == 1e6


def spectrograms(count: int) -> torch.Tensor:
    """Far beyond what 8 bits hold."""
    generator = torch.Generator().manual_seed(2)
    frames = torch.randn(count, 1, 224, 1, generator=generator) * torch.linspace(1, 9, count).view(-1, 1, 1, 1)
    return (frames + torch.randn(count, 1, 224, 224, generator=generator)).expand(-1, 3, -1, -1)


@pytest.mark.parametrize("tensors", [as_transformed(photographs(12)), spectrograms(12)], ids=["images", "spectrograms"])
def test_difficulties_are_those_of_the_model_in_this_process(
    server: str, vits16: Exported, tensors: torch.Tensor
) -> None:
    dataset = TensorDataset(tensors, torch.zeros(12))
    options: dict[str, Any] = {"auto_select_clusters": False, "batch_size": 5, "server": server}
    difficulty, curriculum = create_curriculum_learning_with_dino(
        dataset, n_clusters=2, dino_model="dino_vits16", warmup_iterations=30, **options
    )
    here = CurriculumLearning(PretrainedModelExtractor(vits16.model), 2, **options).fit(dataset)
    np.testing.assert_allclose(difficulty, here.weights_, atol=DIFFICULTY)
    assert curriculum.features_ is None and curriculum.optimal_clusters_ == 2
    weights = curriculum.get_curriculum_weights(current_iteration=0)
    assert weights.sum() == pytest.approx(1.0, abs=1e-5) and weights[difficulty.argmin()] == weights.max()
    assert len(curriculum.get_curriculum_weights(current_iteration=30)) == 12


def test_another_model_than_the_servers_is_refused(server: str) -> None:
    with pytest.raises(CurriculumError, match="dino_vitb8"):
        create_curriculum_learning_with_dino(
            as_transformed(photographs(2)), 1, dino_model="dino_vitb8", auto_select_clusters=False, server=server
        )


@pytest.mark.parametrize("name", ["dino_vits16", "dino_vits8", "dino_vitb16", "dino_vitb8"])
def test_the_four_names_are_known(name: str) -> None:
    assert ServerDino(name).model == name


def test_other_names_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'dino_vitl16'.*dino_vits16"):
        create_curriculum_learning_with_dino([], dino_model="dino_vitl16")
    for shape in ((2, 1, 224, 224), (2, 3, 32, 32), (2, 224, 224), (2, 224, 224, 3)):
        with pytest.raises(ValueError, match="224"):
            encode(torch.zeros(shape))


def test_values_that_no_model_takes_are_refused() -> None:
    with pytest.raises(TypeError, match=r"uint8.*ToTensor"):
        encode(photographs(1))
    for bad in (float("nan"), float("inf")):
        tensors = torch.zeros(2, 3, 224, 224)
        tensors[1, 0, 0, 9] = bad
        with pytest.raises(ValueError, match="not finite"):
            encode(tensors)


def test_the_features_stay_in_the_server() -> None:
    with pytest.raises(TypeError, match="in the server"):
        ServerDino().extract_features(DataLoader(torch.zeros(1, 3, 224, 224)), "cpu")


def test_without_a_server_the_model_is_fetched_unless_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A binary that fails, as without a network, and notes what it was asked for."""
    binary, calls = tmp_path / "curriculum", tmp_path / "calls"
    binary.write_text(f'#!/bin/sh\necho "$@" >> {calls}\necho "no hub" >&2\nexit 5\n')
    binary.chmod(0o755)
    monkeypatch.setenv("CURRICULUM", str(binary))
    monkeypatch.delenv("CURRICULUM__SERVER", raising=False)
    with pytest.raises(LocalServerError, match="dino_vits8 cannot be fetched: no hub"):
        create_curriculum_learning_with_dino(torch.zeros(1, 3, 224, 224), dino_model="dino_vits8")
    assert calls.read_text().splitlines() == ["models pull dino_vits8 --offline", "models pull dino_vits8"]

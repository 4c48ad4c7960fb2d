"""DINO in the server, on tensors of this process."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
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
from curriculum_learning._dino import ServerDino, encode, to_pixels
from dropin import serving

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

# Of a difficulty: the model's features in ONNX Runtime differ from PyTorch's by 1e-5 or so.
DIFFICULTY = 2e-3


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


def test_an_8_bit_image_is_sent_as_it_was() -> None:
    images = photographs(3)
    pixels, error = to_pixels(as_transformed(images))
    assert error < 1e-3 and pixels.shape == (3, 256, 256, 3)
    np.testing.assert_array_equal(pixels[:, 16:-16, 16:-16], images.permute(0, 2, 3, 1))
    with Image.open(io.BytesIO(encode(pixels[1]))) as decoded:
        assert decoded.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(decoded), pixels[1])


def test_difficulties_are_those_of_the_model_in_this_process(server: str, vits16: Exported) -> None:
    tensors = as_transformed(photographs(12))
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


def test_tensors_that_are_no_images_are_rounded_with_a_warning(server: str) -> None:
    spectrograms = torch.randn(8, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    with pytest.warns(UserWarning, match="no 8-bit images"):
        difficulty, _ = create_curriculum_learning_with_dino(
            spectrograms, n_clusters=2, auto_select_clusters=False, server=server
        )
    assert difficulty.shape == (8,) and difficulty.max() == 1.0


def test_rounding_is_at_most_half_a_level_where_an_image_can_hold_the_value() -> None:
    tensors = torch.empty(2, 3, 224, 224).uniform_(-1.7, 2.2, generator=torch.Generator().manual_seed(2))
    pixels, error = to_pixels(tensors)
    back = as_transformed(torch.tensor(pixels[:, 16:-16, 16:-16]).permute(0, 3, 1, 2))
    assert 0.4 < error <= 0.5001
    assert (back - tensors).abs().max() <= 0.5001 / 255 / min(STD)


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
            to_pixels(torch.zeros(shape))


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

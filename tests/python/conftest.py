"""What tests share: the binary, a served curriculum, photographs, and a ViT-S/16 exported from PyTorch's weights."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image

import export_dino
from binary import Binary
from curriculum import Curriculum
from served import Published, ServerProcess, publish

REPOSITORY = Path(__file__).resolve().parents[2]

# In scikit-image's wheel, each CC0 or in the public domain as the docstrings of skimage.data say: colour and
# grey, PNG and JPEG, from 400x300 to 1411x1411.
PHOTOGRAPHS = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)


@dataclass(frozen=True)
class Exported:
    """A model file, and the module whose weights it holds."""

    file: Path
    model: torch.nn.Module


@pytest.fixture(scope="session")
def binary() -> Binary:
    """The `curriculum` binary that CURRICULUM names, else the debug build."""
    return Binary(Path(os.environ.get("CURRICULUM", REPOSITORY / "target/debug/curriculum")))


@pytest.fixture(scope="session")
def published(binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """A server with the curriculum `clouds` of 5,000 samples, whose weights change until iteration 400."""
    server = ServerProcess(binary.path, tmp_path_factory.mktemp("published"))
    try:
        yield Published(server.address, "clouds", publish(server.address, "clouds", 5000), 5000)
    finally:
        server.stop()


@pytest.fixture
def curriculum(published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Curriculum]:
    """A client of it, with a cache of its own."""
    monkeypatch.setenv("CURRICULUM_CACHE", str(tmp_path / "cache"))
    with Curriculum.connect(published.address, published.name, published.version) as connected:
        yield connected


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one class folder of photographs; two PNGs among them stored as cameras and web sites would."""
    folder = tmp_path_factory.mktemp("photographs")
    images = folder / "photographs"
    images.mkdir()
    files = importlib.metadata.files("scikit-image") or []
    for file in files:
        if file.name in PHOTOGRAPHS and file.parent.name == "data":
            shutil.copy(file.locate(), images)
    assert len(list(images.iterdir())) == len(PHOTOGRAPHS)
    store_as_jpeg(images / "coffee.png", quality=75)
    store_as_jpeg(images / "chelsea.png", quality=90, progressive=True)
    return folder


def store_as_jpeg(png: Path, **how: int) -> None:
    """Replaces a PNG by a JPEG with halved colour resolution."""
    Image.open(png).save(png.with_suffix(".jpg"), subsampling="4:2:0", **how)
    png.unlink()


@pytest.fixture(scope="session")
def vits16(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """DINO's ViT-S/16 with drawn weights, exported from a checkpoint laid out as DINO's training writes it."""
    folder = tmp_path_factory.mktemp("vits16")
    torch.manual_seed(7)
    model = timm.create_model("vit_small_patch16_224.dino", pretrained=False, num_classes=0).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Biases begin at 0 and scales at 1, where leaving one out would not be seen.
            if parameter.ndim == 1:
                parameter.add_(0.02 * torch.randn(parameter.shape))
    state = {f"module.backbone.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save(
        {"teacher": state | {"module.head.mlp.0.weight": torch.zeros(1)}, "epoch": 100}, folder / "checkpoint.pth"
    )
    file = folder / "dino_vits16.onnx"
    assert export_dino.main(["dino_vits16", "--weights", str(folder / "checkpoint.pth"), "--out", str(file)]) == 0
    return Exported(file, model)

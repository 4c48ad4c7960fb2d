"""What the exporter leaves on disk."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import export_dino
from conftest import Exported

# Name, patch side, D.
VARIANTS = [("dino_vits16", 16, 384), ("dino_vitb16", 16, 768), ("dino_vits8", 8, 384), ("dino_vitb8", 8, 768)]


def export(name: str, out: Path, *flags: str) -> tuple[onnx.ModelProto, dict]:
    """The graph and the entry of an export with drawn weights."""
    assert export_dino.main([name, "--random-weights", "--seed", "1", "--out", str(out), *flags]) == 0
    return onnx.load(out), tomllib.loads(out.with_suffix(".toml").read_text(encoding="utf-8"))


def ends(value: onnx.ValueInfoProto) -> tuple[str, int, list[int | str]]:
    """Name, element type and shape of an input or output; a dynamic dimension is its name."""
    tensor = value.type.tensor_type
    return value.name, tensor.elem_type, [side.dim_param or side.dim_value for side in tensor.shape.dim]


@pytest.mark.parametrize(("name", "patch", "width"), VARIANTS)
def test_every_dino_model_has_its_shape(tmp_path: Path, name: str, patch: int, width: int) -> None:
    graph, entry = export(name, tmp_path / f"{name}.onnx")
    tokens = (224 // patch) ** 2 + 1
    assert [ends(value) for value in graph.graph.input] == [
        ("pixel_values", onnx.TensorProto.FLOAT, ["batch", 3, 224, 224])
    ]
    assert [ends(value) for value in graph.graph.output] == [
        ("last_hidden_state", onnx.TensorProto.FLOAT, ["batch", tokens, width])
    ]
    weights = sum(math.prod(tensor.dims) for tensor in graph.graph.initializer)
    # 12 blocks of 12 D² and 13 D, and patches, positions, class token, norm; equal tensors are stored once.
    assert weights == pytest.approx(12 * (12 * width**2 + 13 * width) + width * (3 * patch**2 + tokens + 4), rel=0.01)
    assert entry == {
        "name": name,
        "description": f"DINO ViT-{name[8].upper()}/{patch}, ImageNet-1K",
        "input": "pixel_values",
        "layout": "nchw",
        "output": "last_hidden_state",
        "tokens": "cls",
        "prefix_tokens": 1,
        "preprocessing": {
            "resize": 256,
            "crop": 224,
            "interpolation": "bicubic",
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
    }


def test_half_precision_class_token(tmp_path: Path) -> None:
    flags = ("--dtype", "f16", "--output", "class", "--crop", "64")
    graph, entry = export("dino_vits16", tmp_path / "half.onnx", *flags)
    assert [ends(value) for value in graph.graph.input] == [
        ("pixel_values", onnx.TensorProto.FLOAT16, ["batch", 3, 64, 64])
    ]
    assert [ends(value) for value in graph.graph.output] == [("class_token", onnx.TensorProto.FLOAT, ["batch", 384])]
    matrices = {tensor.data_type for tensor in graph.graph.initializer if len(tensor.dims) >= 2}
    assert matrices == {onnx.TensorProto.FLOAT16}
    assert entry["output"] == "class_token" and "tokens" not in entry
    assert (entry["preprocessing"]["resize"], entry["preprocessing"]["crop"]) == (73, 64)


def test_registers_are_prefix_tokens(tmp_path: Path) -> None:
    flags = ("--crop", "56", "--resize", "56")
    graph, entry = export("vit_small_patch14_reg4_dinov2.lvd142m", tmp_path / "registers.onnx", *flags)
    assert ends(graph.graph.output[0])[2] == ["batch", 5 + 16, 384]
    assert (entry["tokens"], entry["prefix_tokens"]) == ("cls", 5)


def test_network_without_tokens_gives_a_map(tmp_path: Path) -> None:
    graph, entry = export("resnet18.a1_in1k", tmp_path / "resnet.onnx", "--crop", "64")
    assert ends(graph.graph.output[0]) == ("features", onnx.TensorProto.FLOAT, ["batch", 512, 2, 2])
    assert (entry["output"], entry["tokens"], entry["prefix_tokens"]) == ("features", "mean", 0)


def test_same_seed_gives_the_same_bytes_and_says_nothing_of_this_machine(tmp_path: Path) -> None:
    export("dino_vits16", tmp_path / "first.onnx", "--crop", "32")
    export("dino_vits16", tmp_path / "second.onnx", "--crop", "32")
    first = (tmp_path / "first.onnx").read_bytes()
    assert first == (tmp_path / "second.onnx").read_bytes()
    for path in (timm_folder(), str(Path(export_dino.__file__).parent)):
        assert path.encode() not in first


def timm_folder() -> str:
    import timm

    return str(Path(timm.__file__).parent)


def test_hub_clone_gives_the_features_of_timm(vits16: Exported, tmp_path: Path) -> None:
    """A clone whose model is timm's behind the interface of DINO's own repository."""
    (tmp_path / "hubconf.py").write_text(
        "import timm\n"
        "class Model(timm.models.VisionTransformer):\n"
        "    def get_intermediate_layers(self, images, n):\n"
        "        assert n == 1\n"
        "        return [self.forward_features(images)]\n"
        "def dino_vits16(pretrained):\n"
        "    assert not pretrained\n"
        "    return Model(patch_size=16, embed_dim=384, num_heads=6, num_classes=0)\n",
        encoding="utf-8",
    )
    checkpoint = vits16.file.with_name("checkpoint.pth")
    out = tmp_path / "hub.onnx"
    flags = ["--source", "torch.hub", "--hub-repository", str(tmp_path), "--weights", str(checkpoint)]
    assert export_dino.main(["dino_vits16", *flags, "--out", str(out)]) == 0
    images = np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype(np.float32)
    hub, timm = (
        onnxruntime.InferenceSession(file).run(None, {"pixel_values": images})[0] for file in (out, vits16.file)
    )
    np.testing.assert_allclose(hub, timm, atol=1e-5)

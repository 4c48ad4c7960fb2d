"""What the exporter refuses: exit code 2, a sentence, and nothing left or changed on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import dino.comparison
import dino.graph
import export_dino

# Name and flags to message.
Refused = Callable[..., str]


def state() -> dict[str, torch.Tensor]:
    import timm

    return timm.create_model("vit_small_patch16_224.dino", pretrained=False, num_classes=0).state_dict()


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs the exporter, which must refuse; its message."""

    def run(name: str, *flags: str) -> str:
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        (out / "model.onnx").write_text("an older export")
        assert export_dino.main([name, "--out", str(out / "model.onnx"), *flags]) == 2
        assert [file.name for file in out.iterdir()] == ["model.onnx"]
        assert (out / "model.onnx").read_text() == "an older export"
        message = capsys.readouterr().err
        assert message.startswith("export_dino: ") and "Traceback" not in message
        return message

    return run


@pytest.mark.parametrize(
    ("name", "flags", "words"),
    [
        ("vit_tiny_patch99", ["--random-weights"], "timm has no model vit_tiny_patch99"),
        ("resnet18", ["--random-weights", "--source", "torch.hub"], "from torch.hub only dino_vits16"),
        ("dino_vits16", ["--random-weights", "--hub-repository", "x"], "needs --source torch.hub"),
        ("dino_vits16", ["--random-weights", "--crop", "300", "--resize", "256"], "crop 300 and resize 256"),
        ("dino_vits16", ["--random-weights", "--crop", "0"], "crop 0"),
        ("resnet18.a1_in1k", ["--random-weights", "--output", "class"], "no class token"),
        ("swin_tiny_patch4_window7_224.ms_in1k", ["--random-weights"], "its features have shape (1, 7, 7, 768)"),
    ],
)
def test_models_that_cannot_be_exported(refused: Refused, name: str, flags: list[str], words: str) -> None:
    assert words in refused(name, *flags)


class Evil:
    """Unpickles to a call."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("/tmp/never"),)


def test_weights_that_do_not_fit(refused: Refused, tmp_path: Path) -> None:
    whole = state()
    lacking = {name: tensor for name, tensor in whole.items() if name != "norm.bias"}
    cases = {
        "lacks norm.bias": lacking,
        "the model has not, extra.weight": whole | {"extra.weight": torch.zeros(1)},
        "size mismatch for norm.bias": lacking | {"norm.bias": torch.zeros(385)},
        "holds no state dict": {"epoch": 3},
        "more than tensors and plain values": Evil(),
    }
    for words, content in cases.items():
        torch.save(content, tmp_path / "weights.pth")
        assert words in refused("dino_vits16", "--weights", str(tmp_path / "weights.pth"))
    for name in ("weights.pth", "weights.safetensors"):
        (tmp_path / name).write_bytes(b"not weights")
        assert name in refused("dino_vits16", "--weights", str(tmp_path / name))
    assert "No such file" in refused("dino_vits16", "--weights", str(tmp_path / "missing.pth"))


def test_a_graph_that_disagrees_is_not_left(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    class Half(dino.graph.Graph):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images).flip(-1)

    monkeypatch.setattr(dino.comparison, "Graph", Half)
    message = refused("dino_vits16", "--random-weights", "--crop", "32")
    assert "ONNX Runtime and PyTorch disagree: batch 1" in message and "lowest cosine" in message


def test_weights_too_large_for_one_file(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dino.graph, "MAX_BYTES", 1_000_000)
    assert "try --dtype f16" in refused("dino_vits16", "--random-weights", "--crop", "32")


def test_out_must_be_an_onnx_file_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for out, words in (("model.pt", "must end in .onnx"), ("file/model.onnx", "file")):
        assert export_dino.main(["dino_vits16", "--random-weights", "--out", str(tmp_path / out)]) == 2
        assert words in capsys.readouterr().err

"""Export a trained teacher to ONNX and check the file against PyTorch.

Usage: python export.py teacher.pt [--out ../dino_fashion.onnx]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import onnx
import onnxruntime
import torch
import torch.nn.functional as F

from evaluate import DEFAULT_MODEL
from model import IMAGE_SIZE, VisionTransformer

OPSET = 18  # the oldest that torch.onnx writes without converting
CHECKED_BATCHES = (1, 7, 64)
MIN_COSINE = 0.99999


def strip_metadata(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes, which repeat source lines and paths of the exporting machine."""
    graph = model.graph
    del model.metadata_props[:]
    del graph.metadata_props[:]
    del graph.value_info[:]
    model.doc_string = graph.doc_string = ""
    for entry in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del entry.metadata_props[:]
        entry.doc_string = ""


def export(model: VisionTransformer, out: Path) -> None:
    """Write `model` to `out` as one self-contained ONNX file with a dynamic batch axis."""
    program = torch.onnx.export(
        model,
        (torch.zeros(2, 3, IMAGE_SIZE, IMAGE_SIZE),),
        input_names=["pixel_values"],
        output_names=["class_token"],
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    proto = program.model_proto
    strip_metadata(proto)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, out)


def check(model: VisionTransformer, path: Path) -> None:
    """Raise unless ONNX Runtime and PyTorch agree on random images."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in CHECKED_BATCHES:
        images = torch.randn(batch, 3, IMAGE_SIZE, IMAGE_SIZE)
        actual = torch.from_numpy(session.run(["class_token"], {"pixel_values": images.numpy()})[0])
        with torch.inference_mode():
            expected = model(images)
        cosine = F.cosine_similarity(actual, expected).min().item()
        print(f"batch {batch}: shape {tuple(actual.shape)}, lowest cosine {cosine:.7f}")
        if actual.shape != expected.shape or cosine < MIN_COSINE:
            raise RuntimeError(f"{path.name} disagrees with PyTorch at batch {batch}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="written by train.py")
    parser.add_argument("--out", type=Path, default=DEFAULT_MODEL)
    options = parser.parse_args()

    model = VisionTransformer().eval()
    model.load_state_dict(torch.load(options.checkpoint, weights_only=True))
    export(model, options.out)
    check(model, options.out)
    print(f"{options.out.name}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()

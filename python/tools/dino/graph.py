"""A module as an ONNX file with a dynamic batch and its weights inside."""

from __future__ import annotations

import copy
import logging
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from . import ExportError
from .network import Network

OUTPUTS = ("tokens", "class")
DTYPES = {"f32": torch.float32, "f16": torch.float16}
# 18 is the oldest that torch.onnx writes without converting.
OPSETS = range(18, 24)
DEFAULT_OPSET = 18
INPUT = "pixel_values"
# Protobuf's limit for one message, hence for a file that holds its weights.
MAX_BYTES = 2**31


class Graph(nn.Module):
    """Images (batch, 3, crop, crop) of the weights' type to f32 features: all, or the class token's (batch, D)."""

    def __init__(self, network: Network, output: str) -> None:
        super().__init__()
        if output == "class" and not network.has_class_token:
            raise ExportError("--output class: this model has no class token")
        self.model = network.model
        self.features = network.features
        self.class_only = output == "class"

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(self.model, images)
        return (features[:, 0] if self.class_only else features).float()


def output_name(network: Network, output: str) -> str:
    """Names as Hugging Face's exports have them, where there is one."""
    if output == "class":
        return "class_token"
    return "last_hidden_state" if network.prefix_tokens else "features"


def to_onnx(network: Network, file: Path, *, output: str, dtype: str, opset: int) -> None:
    """Writes `file`: one input `pixel_values` in `dtype`, one f32 output. Same weights, same bytes.

    Raises ExportError if the graph cannot be exported, or does not fit one file.
    """
    size = sum(value.numel() for value in network.model.state_dict().values()) * DTYPES[dtype].itemsize
    if size >= MAX_BYTES:
        raise ExportError(
            f"its weights are {size:,} bytes and an ONNX file holds less than {MAX_BYTES:,}; try --dtype f16"
        )
    module = Graph(network, output)
    if dtype != "f32":
        module = copy.deepcopy(module).to(DTYPES[dtype])
    side = network.preprocessing.crop
    example = torch.zeros(2, 3, side, side, dtype=DTYPES[dtype])
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                (example,),
                input_names=[INPUT],
                output_names=[output_name(network, output)],
                dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        raise ExportError(f"torch.onnx cannot export it: {' '.join(str(error).split())[:500]}") from error
    proto = program.model_proto
    written = next(entry.version for entry in proto.opset_import if entry.domain == "")
    if written != opset:
        raise ExportError(f"--opset {opset}: torch.onnx wrote {written}")
    strip_notes(proto)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, file)


def strip_notes(proto: onnx.ModelProto) -> None:
    """Drops the exporter's notes, which repeat source lines and paths of the exporting machine."""
    graph = proto.graph
    del proto.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    proto.doc_string = graph.doc_string = ""
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""

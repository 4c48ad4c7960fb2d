"""Writes the kilobyte-sized ONNX fixtures beside this file. Needs numpy and onnx.

Usage: python models.py

Input `pixel_values` (B, 3, 8, 8). In output `features`, every image's values depend on its pixels only:
linear.onnx (B, 4) · tokens.onnx (B, 5, 4), class token first · spatial.onnx (B, 4, 2, 2) ·
fixed_batch.onnx (3, 4), batch dimension fixed at 3 · overflow.onnx (B, 4), infinite for bright images ·
half.onnx (B, 4), linear.onnx in f16 from (B, 8, 8, 3).
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
ENTRY = """\
name = "{name}"
description = "Test fixture, random weights."
input = "pixel_values"
output = "features"
[preprocessing]
resize = 8
crop = 8
interpolation = "bicubic"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"""


def save(
    name: str,
    nodes: list,
    constants: dict,
    shape: list,
    batch: str | int = "batch",
    kind: int = TensorProto.FLOAT,
    layout: str = "nchw",
) -> None:
    """One graph, its constants drawn or given, and its entry."""
    image = {"nchw": [3, 8, 8], "nhwc": [8, 8, 3]}[layout]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("pixel_values", kind, [batch, *image])],
        [helper.make_tensor_value_info("features", kind, shape)],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, HERE / f"{name}.onnx")
    entry = ENTRY.format(name=name)
    if layout != "nchw":
        entry = entry.replace("output =", f'layout = "{layout}"\noutput =')
    (HERE / f"{name}.toml").write_text(entry)


def main() -> None:
    draw = np.random.default_rng(0)
    projection = {"weight": draw.standard_normal((192, 4)).astype(np.float32)}
    flatten = helper.make_node("Flatten", ["pixel_values"], ["flat"])
    multiply = helper.make_node("MatMul", ["flat", "weight"], ["features"])
    save("linear", [flatten, multiply], projection, ["batch", 4])
    save("fixed_batch", [flatten, multiply], projection, [3, 4], batch=3)

    planes = helper.make_node("Transpose", ["pixel_values"], ["planes"], perm=[0, 3, 1, 2])
    narrow = [planes, helper.make_node("Flatten", ["planes"], ["flat"]), multiply]
    halves = {"weight": projection["weight"].astype(np.float16)}
    save("half", narrow, halves, ["batch", 4], kind=TensorProto.FLOAT16, layout="nhwc")

    loud = [
        flatten,
        helper.make_node("MatMul", ["flat", "weight"], ["scores"]),
        helper.make_node("ReduceSum", ["flat", "axes"], ["brightness"], keepdims=1),
        helper.make_node("Exp", ["brightness"], ["scale"]),
        helper.make_node("Mul", ["scores", "scale"], ["features"]),
    ]
    save("overflow", loud, projection | {"axes": np.array([1], np.int64)}, ["batch", 4])

    patches = {"kernel": draw.standard_normal((4, 3, 4, 4)).astype(np.float32)}
    convolve = helper.make_node("Conv", ["pixel_values", "kernel"], ["grid"], strides=[4, 4])
    spatial = helper.make_node("Identity", ["grid"], ["features"])
    save("spatial", [convolve, spatial], patches, ["batch", 4, 2, 2])

    tokens = [
        convolve,
        helper.make_node("Reshape", ["grid", "tokens_shape"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["patches"], perm=[0, 2, 1]),
        helper.make_node("ReduceMax", ["patches"], ["class_token"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["class_token", "patches"], ["features"], axis=1),
    ]
    shape = {"tokens_shape": np.array([0, 4, 4], np.int64)}
    save("tokens", tokens, patches | shape, ["batch", 5, 4])


if __name__ == "__main__":
    main()

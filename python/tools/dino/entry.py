"""The TOML file beside the ONNX file, which tells the extractor how to feed and read it."""

from __future__ import annotations

import json
import re

from .graph import INPUT, output_name
from .network import Network


def entry_toml(stem: str, network: Network, output: str) -> str:
    """The entry of a model file named `stem`.onnx. `tokens` and `prefix_tokens` stand only where they have meaning."""
    steps = network.preprocessing
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", stem)[:64]
    lines = [
        f"name = {quoted(name)}",
        f"description = {quoted(network.description)}",
        f"input = {quoted(INPUT)}",
        'layout = "nchw"',
        f"output = {quoted(output_name(network, output))}",
    ]
    if output == "tokens" and network.prefix_tokens:
        lines += [
            f"tokens = {quoted('cls' if network.has_class_token else 'mean')}",
            f"prefix_tokens = {network.prefix_tokens}",
        ]
    elif output == "tokens":
        lines += ['tokens = "mean"', "prefix_tokens = 0"]
    lines += [
        "",
        "[preprocessing]",
        f"resize = {steps.resize}",
        f"crop = {steps.crop}",
        f"interpolation = {quoted(steps.interpolation)}",
        f"mean = {list(steps.mean)}",
        f"std = {list(steps.std)}",
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A basic string of TOML, which escapes as JSON does."""
    return json.dumps(text)

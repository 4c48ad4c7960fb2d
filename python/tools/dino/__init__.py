"""From a PyTorch vision model to an ONNX file with its entry.

architecture: which model a name means, and its preprocessing.
network: the PyTorch module, built and with weights.   weights: state dicts.
graph: module to ONNX file.   comparison: ONNX Runtime beside PyTorch.
entry: the TOML file beside it.   files: both or neither on disk.
"""


class ExportError(Exception):
    """What was refused and why, as one sentence for the user."""

#!/usr/bin/env bash
# Checks and measures the release binary on a machine with a GPU: a table on standard output, all figures in
# JSON. Needs Python 3.11 with numpy, onnxruntime-gpu (its wheel, or the folder of its library) and a model file:
#
#   pip download --no-deps onnxruntime-gpu
#   tests/gpu/run.sh --model dino_vits16.onnx --runtime onnxruntime_gpu-*.whl
#
# Pillow makes images where --images names none; torch, torchvision and timm are the peer. --provider cpu runs
# the same code without a device. Exit codes: 0 all checks passed, 1 one failed, 2 wrong use. More: --help.
set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "$0")/check.py" "$@"

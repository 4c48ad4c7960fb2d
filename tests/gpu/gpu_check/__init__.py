"""The checks behind run.sh.

settings: the flags.   bench: what the checks share: binary, runtime, images, and running `extract`.
runtime: ONNX Runtime's folder, from a wheel if need be.   images: the manifest that is extracted.
device: memory by nvidia-smi.   environment: what it ran on.   outcome: results, table and JSON.
features, speed, memory, limits: the checks.   server: one `curriculum serve`.
"""

"""The flags of run.sh."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Settings:
    """What to check, and with what. Bytes, images and threads are counts; None leaves a choice to the binary."""

    binary: Path
    model: Path
    model_f16: Path | None
    runtime: Path
    provider: str
    device_id: int
    images: Path | None
    count: int
    compared: int
    batch_size: int | None
    threads: int | None
    peer_model: str
    workers: int
    report: Path

    @property
    def on_device(self) -> bool:
        """False in a dry run on the CPU."""
        return self.provider != "cpu"


def parse_arguments(arguments: list[str] | None) -> Settings:
    """argparse itself exits with 2 on a bad flag."""
    parser = argparse.ArgumentParser(description=__doc__, prog="run.sh")
    add = parser.add_argument
    add("--model", type=Path, required=True, help="ONNX file in f32 with its TOML beside it")
    add("--model-f16", type=Path, help="the same with weights and input in f16; default --model")
    add("--runtime", type=Path, required=True, help="onnxruntime-gpu: its wheel, or its library's folder")
    add("--binary", type=Path, default=REPOSITORY / "target/release/curriculum")
    add("--provider", choices=("cuda", "tensorrt", "cpu"), default="cuda", help="cpu is a dry run")
    add("--device-id", type=int, default=0)
    add("--images", type=Path, help="folder of images; default made with Pillow, 500x375 JPEG")
    add("--count", type=at_least(1), default=8192, help="images of a timed run; repeated if there are fewer")
    add("--compared", type=at_least(2), default=256, help="most images whose features are compared with the CPU's")
    add("--batch-size", type=at_least(1), help="of the timed runs; default as the binary chooses")
    add("--threads", type=at_least(1), help="of the binary; default as it chooses")
    add("--peer-model", default="vit_small_patch16_224.dino", help="timm's name of the same architecture")
    add("--workers", type=int, default=os.cpu_count() or 1, help="of PyTorch's DataLoader")
    add("--report", type=Path, default=Path("gpu-report.json"))
    return Settings(**vars(parser.parse_args(arguments)))


def at_least(least: int) -> Callable[[str], int]:
    """A parser of counts for argparse."""

    def count(text: str) -> int:
        if (value := int(text)) < least:
            raise ValueError
        return value

    return count

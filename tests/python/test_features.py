"""The binary's features beside PyTorch's, from the bytes of photographs on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

import reference
from binary import Binary
from conftest import Exported

# Counted from 0, as `--layer block:8` and timm do.
BLOCK = 8


@dataclass(frozen=True)
class Expected:
    """The manifest's ids, and PyTorch's tokens (N, 197, 384): those of BLOCK and the last."""

    ids: list[str]
    block: Tensor
    last: Tensor


@pytest.fixture(scope="module")
def expected(photographs: Path, vits16: Exported) -> Expected:
    files = sorted(file for file in photographs.rglob("*") if file.is_file())
    block, last = reference.tokens(vits16.model, reference.pixels(files), BLOCK)
    return Expected([file.relative_to(photographs).as_posix() for file in files], block, last)


def pooled(tokens: Tensor, how: str) -> Tensor:
    """(N, tokens, D) to (N, D), or (N, 2 D) for both."""
    parts = {"cls": tokens[:, 0], "mean": tokens[:, 1:].mean(dim=1)}
    return torch.cat([parts[part] for part in how.split("+")], dim=1)


@pytest.mark.parametrize("how", ["cls", "mean", "cls+mean"])
def test_features_are_those_of_pytorch(
    binary: Binary, photographs: Path, vits16: Exported, expected: Expected, tmp_path: Path, how: str
) -> None:
    # The entry's own pooling is the class token.
    flags = [] if how == "cls" else ["--tokens", how]
    ids, features = binary.extract(photographs, vits16.file, tmp_path / "features.npy", *flags)
    assert ids == expected.ids
    reference.assert_same(torch.from_numpy(features), pooled(expected.last, how))


@pytest.mark.parametrize("how", ["cls", "mean", "cls+mean"])
def test_features_of_a_block_are_those_of_pytorch(
    binary: Binary, photographs: Path, vits16: Exported, expected: Expected, tmp_path: Path, how: str
) -> None:
    flags = ("--layer", f"block:{BLOCK}", "--tokens", how)
    ids, features = binary.extract(photographs, vits16.file, tmp_path / "features.npy", *flags)
    assert ids == expected.ids
    reference.assert_same(torch.from_numpy(features), pooled(expected.block, how))

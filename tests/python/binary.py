"""Running `curriculum`."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Binary:
    """The binary at `path`."""

    path: Path

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs it to its end, whatever its exit code; output is text."""
        command = [str(self.path), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    def extract(self, images: Path, model: Path, out: Path, *flags: str) -> tuple[list[str], np.ndarray]:
        """Ids and features f32 (N, D), in the manifest's order."""
        done = self.run("extract", images, "--model", model, "--out", out, *flags)
        assert done.returncode == 0, done.stderr
        lines = out.with_suffix(".ids.jsonl").read_text(encoding="utf-8").splitlines()
        features = np.load(out)
        assert features.dtype == np.float32 and len(features) == len(lines)
        return [json.loads(line)["id"] for line in lines], features

"""What the checks share: the binary, its runtime, its images, and runs that several checks look at."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import device, images, runtime
from .outcome import Unusable
from .settings import Settings

SECONDS = 1800


@dataclass(frozen=True)
class Extraction:
    """One run of `extract`: features (N, D), what the binary said of it, and the device's memory meanwhile."""

    features: np.ndarray
    said: dict[str, Any]
    memory: device.Watch | None


@dataclass
class Bench:
    """A folder with everything, and the runs made so far."""

    settings: Settings
    folder: Path
    runtime: Path
    files: list[Path]
    kept: dict[str, Extraction] = field(default_factory=dict)

    @classmethod
    def set_up(cls, settings: Settings, folder: Path) -> Bench:
        """Raises Unusable if the binary, the model, the runtime or the images are not there."""
        for path in (settings.binary, settings.model, settings.model_f16 or settings.model):
            if not path.is_file():
                raise Unusable(f"{path}: no such file")
        libraries, pictures = folder / "runtime", folder / "images"
        libraries.mkdir()
        pictures.mkdir()
        found = runtime.unpack(settings.runtime, libraries)
        return cls(settings, folder, found.resolve(), images.gather(settings.images, pictures))

    def manifest(self, count: int, start: int = 0) -> Path:
        """`count` samples from `start` on."""
        return images.manifest(self.files, count, self.folder / f"images-{start}-{count}.jsonl", start)

    def environment(self, libraries: Path | None = None) -> dict[str, str]:
        """Variables of the binary: the runtime it loads, and where CUDA's libraries may lie."""
        folder = libraries or self.runtime
        places = [str(folder), *map(str, runtime.cuda_folders()), os.environ.get("LD_LIBRARY_PATH", "")]
        return os.environ | {
            "ORT_DYLIB_PATH": str(runtime.libraries(folder)[0]),
            "LD_LIBRARY_PATH": ":".join(place for place in places if place),
            # The order of nvidia-smi.
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        }

    def start(self, *arguments: object, libraries: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Runs the binary to its end, whatever its exit code. Raises Unusable if it cannot or does not end."""
        command = [str(self.settings.binary), *map(str, arguments)]
        environment = self.environment(libraries)
        try:
            return subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unusable(f"{self.settings.binary}: {error}") from error

    def flags(self, provider: str) -> list[object]:
        """Of a run on the CPU or on the device."""
        flags: list[object] = ["--execution-provider", provider]
        if provider != "cpu" and self.settings.device_id != 0:
            flags += ["--device-id", self.settings.device_id]
        if self.settings.threads is not None:
            flags += ["--threads", self.settings.threads]
        return flags

    def extract(self, name: str, manifest: Path, *flags: object, provider: str, dtype: str = "f32") -> Extraction:
        """Runs `extract` and keeps the result under `name`; a kept one is not made again.

        Raises Unusable if it fails, leaves a sample out, or gives features of another type.
        """
        if name in self.kept:
            return self.kept[name]
        settings = self.settings
        model = settings.model_f16 or settings.model if dtype == "f16" else settings.model
        out = self.folder / f"{name}.npy"
        arguments = ("extract", manifest, "--model", model, "--out", out, "--json", "--dtype", dtype)
        watch = device.Watch(settings.device_id) if provider != "cpu" else None
        if watch is None:
            done = self.start(*arguments, *self.flags(provider), *flags)
        else:
            with watch:
                done = self.start(*arguments, *self.flags(provider), *flags)
        if done.returncode != 0:
            raise Unusable(f"extract on {provider} ended with {done.returncode}: {last_line(done.stderr)}")
        extraction = Extraction(np.load(out), parse(done.stdout), watch)
        samples = len(manifest.read_text(encoding="utf-8").splitlines())
        if extraction.said.get("failed") != 0 or len(extraction.features) != samples:
            raise Unusable(f"extract on {provider}: {extraction.said.get('failed')} of {samples} samples failed")
        if extraction.features.dtype != {"f32": np.float32, "f16": np.float16}[dtype]:
            raise Unusable(f"extract --dtype {dtype} wrote {extraction.features.dtype}")
        self.kept[name] = extraction
        return extraction


def parse(output: str) -> dict[str, Any]:
    """The object on the last line. Raises Unusable if there is none."""
    try:
        said = json.loads(last_line(output))
    except json.JSONDecodeError as error:
        raise Unusable(f"--json ended with {last_line(output)!r}") from error
    if not isinstance(said, dict):
        raise Unusable(f"--json ended with {said!r}")
    return said


def last_line(output: str) -> str:
    """Without its end; empty if there is none."""
    return output.strip().rsplit("\n", 1)[-1]

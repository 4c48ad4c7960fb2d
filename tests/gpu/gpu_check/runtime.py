"""ONNX Runtime's library, and the folder around it."""

from __future__ import annotations

import shutil
import sysconfig
import zipfile
from pathlib import Path, PurePosixPath

from .outcome import Unusable

# Where the wheels keep their libraries.
FOLDER_IN_WHEEL = "onnxruntime/capi/"


def unpack(runtime: Path, folder: Path) -> Path:
    """The folder that holds the library: `runtime` itself, one below it, or `folder`, filled from a wheel.

    Raises Unusable if there is no library.
    """
    if runtime.suffix == ".whl":
        try:
            with zipfile.ZipFile(runtime) as wheel:
                for name in wheel.namelist():
                    file = PurePosixPath(name).name
                    if name.startswith(FOLDER_IN_WHEEL) and ".so" in file:
                        with wheel.open(name) as member, (folder / file).open("wb") as out:
                            shutil.copyfileobj(member, out)
        except (OSError, zipfile.BadZipFile) as error:
            raise Unusable(f"--runtime {runtime}: {error}") from error
        runtime = folder
    for candidate in (runtime, runtime / "lib", runtime / FOLDER_IN_WHEEL, runtime / "capi"):
        if libraries(candidate):
            return candidate
    raise Unusable(f"--runtime {runtime}: no libonnxruntime.so there")


def libraries(folder: Path) -> list[Path]:
    """Files that are the library itself, not a provider."""
    return sorted(folder.glob("libonnxruntime.so*"))


def without_providers(folder: Path, copy: Path) -> Path:
    """A copy of the library alone, as a machine has it where the GPU packages are missing."""
    copy.mkdir()
    for library in libraries(folder):
        shutil.copy(library, copy)
    return copy


def cuda_folders() -> list[Path]:
    """Libraries of CUDA and cuDNN that pip installed beside this Python, for a machine without a toolkit."""
    return sorted(Path(sysconfig.get_paths()["purelib"]).glob("nvidia/**/lib"))

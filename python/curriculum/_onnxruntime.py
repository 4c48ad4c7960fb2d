"""Where ONNX Runtime's library is, for a binary that this process starts."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

LIBRARY = "ORT_DYLIB_PATH"

# The library itself, on Linux and on macOS, and not the providers beside it.
_NAME = re.compile(r"libonnxruntime(\.so)?((\.\d+)*)(\.dylib)?")


def environment(binary: Path) -> dict[str, str]:
    """This process's environment, with the library of the package that `import onnxruntime` finds as ORT_DYLIB_PATH.

    The binary itself knows only the layout of virtual environments; Python knows every place that it has packages in.
    The variable stays as it is where it is set, and where a library lies beside the binary, which comes first.
    """
    variables = dict(os.environ)
    if not variables.get(LIBRARY) and not any(map(_library_in, (binary.parent, binary.parent / "lib"))):
        found = _library_of_package()
        if found is not None:
            variables[LIBRARY] = str(found)
    return variables


def _library_of_package() -> Path | None:
    """Without importing it, which takes a second and loads the library."""
    try:
        package = importlib.util.find_spec("onnxruntime")
    except ValueError:  # imported, by who gave it no origin
        return None
    folders = () if package is None else package.submodule_search_locations or ()
    return next(filter(None, (_library_in(Path(folder) / "capi") for folder in folders)), None)


def _library_in(folder: Path) -> Path | None:
    """The name without a version if it is there, else the newest version."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return None
    ranked = [(_rank(match[2]), name) for name in names if (match := _NAME.fullmatch(name))]
    return folder / max(ranked)[1] if ranked else None


def _rank(version: str) -> tuple[float, ...]:
    return tuple(map(float, version[1:].split("."))) if version else (float("inf"),)

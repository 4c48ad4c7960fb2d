"""Puts ONNX Runtime's shared library into a folder, from its wheel on PyPI.

Usage: fetch_onnxruntime.py VERSION FOLDER

The wheel of any CPython holds the same library; pip picks one that fits this machine. The library is
written as libonnxruntime.so (.dylib on macOS, .dll on Windows), which is what the server looks for.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

SUFFIXES = {"linux": ".so", "darwin": ".dylib", "win32": ".dll"}


def library_member(wheel: zipfile.ZipFile) -> str:
    """The one member that is the library itself, not a provider or the Python binding."""
    for name in wheel.namelist():
        file = PurePosixPath(name).name
        if file.startswith(("libonnxruntime.", "onnxruntime.dll")) and not file.endswith(".lib"):
            return name
    raise SystemExit(f"{wheel.filename}: no ONNX Runtime library in it")


def download(version: str, folder: Path) -> Path:
    """The wheel of onnxruntime `version`, in `folder`."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, "--dest", str(folder), f"onnxruntime=={version}"], check=True)
    return next(folder.glob("*.whl"))


def main() -> None:
    version, target = sys.argv[1], Path(sys.argv[2])
    suffix = SUFFIXES[sys.platform]
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(download(version, Path(folder))) as wheel:
        name = ("" if suffix == ".dll" else "lib") + "onnxruntime" + suffix
        unfinished = target / f"{name}.unfinished"
        unfinished.write_bytes(wheel.read(library_member(wheel)))
        unfinished.replace(target / name)
    print(f"onnxruntime {version}: {target / name}")


if __name__ == "__main__":
    main()

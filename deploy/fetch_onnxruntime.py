"""Puts ONNX Runtime's shared library into a folder, from its wheel on PyPI.

Usage: fetch_onnxruntime.py VERSION FOLDER [--gpu]

The wheel of any CPython holds the same library; pip picks one that fits this machine. The library is
written as libonnxruntime.so (.dylib on macOS, .dll on Windows), which is what the server looks for. With
--gpu it is that of onnxruntime-gpu, and the execution providers lie beside it, where it looks for them.
"""

import argparse
import shutil
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


def provider_members(wheel: zipfile.ZipFile) -> dict[str, str]:
    """File name and member of each execution provider that is a library of its own."""
    names = {PurePosixPath(member).name: member for member in wheel.namelist()}
    return {name: member for name, member in names.items() if "onnxruntime_providers_" in name}


def download(package: str, version: str, folder: Path) -> Path:
    """The wheel of `package` at `version`, in `folder`."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, "--dest", str(folder), f"{package}=={version}"], check=True)
    return next(folder.glob("*.whl"))


def extract(wheel: zipfile.ZipFile, member: str, target: Path) -> None:
    """Writes `member` as `target`, whole or not at all."""
    unfinished = target.with_name(f"{target.name}.unfinished")
    with wheel.open(member) as source, unfinished.open("wb") as out:
        shutil.copyfileobj(source, out)
    unfinished.replace(target)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("version")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gpu", action="store_true")
    arguments = parser.parse_args()
    package = "onnxruntime-gpu" if arguments.gpu else "onnxruntime"
    target: Path = arguments.folder
    suffix = SUFFIXES[sys.platform]
    library = target / (("" if suffix == ".dll" else "lib") + "onnxruntime" + suffix)
    target.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(download(package, arguments.version, Path(folder))) as wheel,
    ):
        for name, member in provider_members(wheel).items() if arguments.gpu else ():
            extract(wheel, member, target / name)
        extract(wheel, library_member(wheel), library)
    print(f"{package} {arguments.version}: {library}")


if __name__ == "__main__":
    main()

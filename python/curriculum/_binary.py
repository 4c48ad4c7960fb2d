"""Where the `curriculum` binary is."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

BINARY = "CURRICULUM"


def find_binary() -> Path:
    """CURRICULUM, else the binary that was installed with this package, else the first on PATH.

    FileNotFoundError when there is none.
    """
    named = os.environ.get(BINARY)
    if named:
        return _existing(Path(named), f"{BINARY} names {named}, which is no file")
    scripts: list[str | Path | None] = [sysconfig.get_path("scripts"), Path(sys.executable).parent, _user_scripts()]
    # `pip install --target DIR` puts it into DIR/bin.
    scripts.append(Path(__file__).resolve().parents[1] / "bin")
    for folder in scripts:
        if folder is not None and (found := Path(folder) / "curriculum").is_file():
            return found
    on_path = shutil.which("curriculum")
    if on_path is None:
        raise FileNotFoundError(f"no curriculum binary beside Python or on PATH, and {BINARY} is not set")
    return Path(on_path)


def _existing(path: Path, otherwise: str) -> Path:
    if not path.is_file():
        raise FileNotFoundError(otherwise)
    return path


def _user_scripts() -> str | None:
    """Where `pip install --user` puts binaries."""
    scheme = sysconfig.get_preferred_scheme("user")
    return sysconfig.get_path("scripts", scheme)

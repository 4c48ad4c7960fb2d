"""Where a local server gets ONNX Runtime from."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from binary import Binary
from curriculum import LocalServerError, Server
from curriculum._onnxruntime import environment


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DYLIB_PATH", raising=False)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as `pip install --target` and Debian's dist-packages are: on Python's path, and no environment's."""
    package = tmp_path / "packages" / "onnxruntime"
    (package / "capi").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    # Nobody has it yet, whatever ran before.
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.syspath_prepend(package.parent)
    return package / "capi"


def place(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_the_package_on_pythons_path_has_it(packages: Path, tmp_path: Path) -> None:
    binary = tmp_path / "bin/curriculum"
    place(packages, "libonnxruntime_providers_shared.so", "libonnxruntime.so.txt")
    assert "ORT_DYLIB_PATH" not in environment(binary)
    place(packages, "libonnxruntime.so.1.9.0", "libonnxruntime.so.1.32.0")
    assert environment(binary)["ORT_DYLIB_PATH"] == str(packages / "libonnxruntime.so.1.32.0")
    place(packages, "libonnxruntime.so")
    assert environment(binary)["ORT_DYLIB_PATH"] == str(packages / "libonnxruntime.so")
    assert "onnxruntime" not in sys.modules


def test_macos_has_other_names(packages: Path, tmp_path: Path) -> None:
    place(packages, "libonnxruntime.1.32.0.dylib", "libonnxruntime.1.9.0.dylib")
    assert environment(tmp_path / "curriculum")["ORT_DYLIB_PATH"] == str(packages / "libonnxruntime.1.32.0.dylib")


@pytest.mark.parametrize("beside", [".", "lib"])
def test_what_lies_beside_the_binary_comes_first(packages: Path, tmp_path: Path, beside: str) -> None:
    place(packages, "libonnxruntime.so.1.32.0")
    place(tmp_path / "bin" / beside, "libonnxruntime.so.1.22.0")
    assert "ORT_DYLIB_PATH" not in environment(tmp_path / "bin/curriculum")


def test_what_is_named_is_taken(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(packages, "libonnxruntime.so.1.32.0")
    monkeypatch.setenv("ORT_DYLIB_PATH", "named")
    assert environment(tmp_path / "curriculum")["ORT_DYLIB_PATH"] == "named"


def test_a_server_far_from_any_environment_starts(
    binary: Binary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the binary that `pip install --target` leaves in a folder of its own."""
    alone = tmp_path / "bin/curriculum"
    alone.parent.mkdir()
    shutil.copy(binary.path, alone)
    monkeypatch.setenv("CURRICULUM", str(alone))
    by_itself = Binary(alone).run("serve", "--grpc-addr", "127.0.0.1:0", "--data-dir", tmp_path / "data")
    assert by_itself.returncode != 0 and "ORT_DYLIB_PATH" in by_itself.stderr
    with Server.local(tmp_path / "server") as server:
        assert server.address
    monkeypatch.setenv("ORT_DYLIB_PATH", str(tmp_path / "nothing"))
    with pytest.raises(LocalServerError, match="nothing"):
        Server.local(tmp_path / "server")

"""The wheel: built as pip builds it, installed where nothing else is, and used from there.

Only cargo's selection and profile are others (`workspace_cargo`), so that the binary is the one that is built already.
What the package needs comes from this environment.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
(VERSION,) = re.findall(r'^version = "(.*)"$', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        return Path(sysconfig.get_path("purelib", vars={"base": str(self.folder), "platbase": str(self.folder)}))

    def run(self, *command: str | Path, **variables: str) -> str:
        """What `command`, of the environment's programs, prints. It sees nothing of the repository."""
        known = {name: value for name, value in os.environ.items() if not name.startswith(("CURRICULUM", "PYTHON"))}
        program, *arguments = map(str, command)
        done = subprocess.run(
            [self.folder / "bin" / program, *arguments],
            cwd=self.folder,
            env=known | {"PATH": "/usr/bin:/bin"} | variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def pip(*arguments: str | Path, **variables: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, arguments)],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from python/."""
    folder = tmp_path_factory.mktemp("wheels")
    pip(
        *("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, REPOSITORY / "python"),
        # Where maturin is.
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        CARGO=str(Path(__file__).with_name("workspace_cargo.py")),
        MATURIN_PEP517_ARGS="--profile dev --compression-level 1",
        MATURIN_STRIP="false",
    )
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With the wheel, and this environment's packages after its own."""
    environment = Environment(tmp_path_factory.mktemp("environment"))
    venv.create(environment.folder, symlinks=True)
    # As the README has it.
    reference = f"curriculum-server[cpu,torch] @ {wheel.as_uri()}"
    pip("--python", environment.folder / "bin/python", "install", "--no-deps", "--no-index", reference)
    (environment.packages / "needed.pth").write_text(sysconfig.get_path("purelib"))
    return environment


def test_the_wheel_has_the_binary_and_two_typed_packages(wheel: Path) -> None:
    name, version, *tags = wheel.stem.split("-")
    assert (name, version, tags[:2]) == ("curriculum_server", VERSION, ["py3", "none"])
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    info, data = (f"{name}-{version}.{kind}/" for kind in ("dist-info", "data"))
    assert [entry for entry in names if entry.startswith(data)] == [f"{data}scripts/curriculum"]
    assert {f"{info}METADATA", f"{info}RECORD", f"{info}WHEEL"} <= names
    python = REPOSITORY / "python"
    packages = {
        str(path.relative_to(python))
        for package in ("curriculum", "curriculum_learning")
        for path in (python / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"curriculum/py.typed", "curriculum_learning/py.typed", "curriculum/v1/types_pb2.pyi"} <= packages
    assert {entry for entry in names if not entry.startswith((info, data))} == packages


def test_the_binary_runs(installed: Environment) -> None:
    assert installed.run("curriculum", "--version").split() == ["curriculum-cli", VERSION]


def test_the_packages_come_from_the_wheel(installed: Environment) -> None:
    code = (
        "import curriculum, curriculum.torch, curriculum_learning\n"
        "from importlib.metadata import version\n"
        "print(curriculum.__file__, curriculum_learning.__file__)\n"
        "print(curriculum.find_binary(), version('curriculum-server'))"
    )
    packages = installed.packages
    expected = [packages / "curriculum/__init__.py", packages / "curriculum_learning/__init__.py"]
    expected.append(installed.folder / "bin/curriculum")
    assert installed.run("python", "-c", code).split() == [*map(str, expected), VERSION]


def test_a_local_server_is_that_binary(installed: Environment, tmp_path: Path) -> None:
    code = (
        "import json, os, sys\n"
        "from pathlib import Path\n"
        "from curriculum import Curriculum, Server, errors\n"
        "with Server.local(sys.argv[1]) as server:\n"
        "    pid = json.loads((Path(sys.argv[1]) / 'server.json').read_text())['server']\n"
        "    own = os.readlink(f'/proc/{pid}/exe')\n"
        "    try:\n"
        "        Curriculum.connect()\n"
        "    except errors.NotFound as error:\n"
        "        print(json.dumps([own, server.address, str(error)]))\n"
    )
    if sys.platform != "linux":
        pytest.skip("looks into /proc")
    output = installed.run("python", "-c", code, str(tmp_path / "own"), CURRICULUM_CACHE=str(tmp_path))
    own, address, error = json.loads(output)
    assert own == str(installed.folder.resolve() / "bin/curriculum")
    # The other one, without an address, is another server: it answered.
    assert "it has none" in error and address.removeprefix("http://") not in error
    assert (tmp_path / "server/data").is_dir()

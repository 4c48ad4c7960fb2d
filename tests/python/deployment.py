"""The files of `deploy/`, as the tools that operators use read them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from binary import Binary

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
OVERLAYS = sorted(path.parent for path in (DEPLOY / "kubernetes/overlays").glob("*/kustomization.yaml"))

Object = dict[str, Any]


def tool(name: str) -> str:
    """A program that tests/python/requirements.txt installs."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, f"{name} is missing: pip install -r tests/python/requirements.txt"
    return found


def run(*command: str | Path) -> str:
    """Standard output of a program that must end well."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def built(overlay: Path) -> list[Object]:
    """The objects of an overlay, as `kubectl apply --kustomize` sends them."""
    return list(yaml.safe_load_all(run(tool("kubectl"), "kustomize", overlay)))


def pods(objects: list[Object]) -> list[tuple[Object, Object]]:
    """Each object that makes pods, with the template of its pods."""
    found = []
    for item in objects:
        spec = item.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found.append((item, spec["template"]))
    return found


def containers(template: Object) -> list[Object]:
    """All of a pod's, those that run first too."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def server(template: Object) -> Object | None:
    """The container that serves."""
    found = [container for container in containers(template) if container["args"][0] == "serve"]
    return found[0] if found else None


def variables(container: Object) -> dict[str, str]:
    """Environment of a container that the manifest itself spells out."""
    return {entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry}


@dataclass(frozen=True)
class Stage:
    """One stage of the Dockerfile: instruction and arguments, continued lines joined."""

    name: str
    base: str
    instructions: list[tuple[str, str]]

    def environment(self) -> dict[str, str]:
        """What its ENV instructions set."""
        text = " ".join(arguments for name, arguments in self.instructions if name == "ENV")
        return dict(re.findall(r"(\w+)=(\S+)", text))

    def only(self, instruction: str) -> str:
        """Arguments of an instruction that occurs once."""
        (arguments,) = [arguments for name, arguments in self.instructions if name == instruction]
        return arguments

    def copies(self) -> list[str]:
        """What comes from the repository."""
        taken = []
        for name, arguments in self.instructions:
            if name == "COPY" and "--from=" not in arguments:
                taken += arguments.split()[:-1]
        return taken


def dockerfile() -> dict[str, Stage]:
    """Its stages by name."""
    text = (DEPLOY / "docker/Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    stages: dict[str, Stage] = {}
    for line in filter(None, map(str.strip, lines)):
        instruction, arguments = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = arguments.split()
            stage = stages[name] = Stage(name, base, [])
        else:
            stage.instructions.append((instruction, arguments))
    return stages


def settings(binary: Binary, arguments: list[str], environment: dict[str, str]) -> Object:
    """What `serve` with these arguments and nothing but this environment would run with."""
    assert arguments[0] == "serve", arguments
    command = [binary.path, "check-config", *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return tomllib.loads(done.stdout)


def server_call(
    objects: list[Object], template: Object, container: Object, folder: Path
) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of the server, its settings written to a file in `folder`."""
    stage = "cuda" if "nvidia.com/gpu" in container["resources"]["limits"] else "cpu"
    assert container["image"].endswith(f"-{stage}")
    environment = dockerfile()[stage].environment() | variables(container)
    arguments = list(container["args"])
    place = arguments.index("--config") + 1
    (volume,) = [
        mount["name"]
        for mount in container["volumeMounts"]
        if Path(arguments[place]).parent == Path(mount["mountPath"])
    ]
    (name,) = [one["configMap"]["name"] for one in template["spec"]["volumes"] if one["name"] == volume]
    (data,) = [one["data"] for one in objects if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", name)]
    file = folder / Path(arguments[place]).name
    file.write_text(data[file.name], encoding="utf-8")
    return [*arguments[:place], str(file), *arguments[place + 1 :]], environment


def has_setting(binary: Binary, name: str) -> bool:
    """Whether a variable is a setting of the server. What does not take this value is refused for another reason."""
    command = [binary.path, "check-config"]
    done = subprocess.run(command, env={name: "?"}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 or (done.returncode == 2 and done.stderr.startswith("error: ")), done.stderr
    return name.startswith("CURRICULUM__") and "unknown field" not in done.stderr


def check_command(binary: Binary, arguments: list[str]) -> None:
    """That the binary has the subcommand of these arguments, with every flag among them."""
    words = [argument for argument in arguments if not argument.startswith("-")]
    for depth in range(len(words), 0, -1):
        shown = binary.run(*words[:depth], "--help")
        if shown.returncode == 0 and f"Usage: curriculum {' '.join(words[:depth])}" in shown.stdout:
            break
    else:
        raise AssertionError(f"no such command: {arguments}")
    known = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", shown.stdout))
    given = {argument.split("=")[0] for argument in arguments if argument.startswith("--")}
    assert given <= known, f"curriculum {' '.join(words[:depth])} has no {sorted(given - known)}"

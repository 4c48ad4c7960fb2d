"""What python/README.md shows: code that can run here is run, and all of it is Python."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from binary import Binary
from curriculum import Curriculum, ingest
from served import Published, ServerProcess, environment, features, publish

README = (Path(__file__).resolve().parents[2] / "python/README.md").read_text(encoding="utf-8")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Heading and content of each."""
    for section in re.split(r"^## ", README, flags=re.MULTILINE):
        for block in re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
            yield section.partition("\n")[0], block


def block(heading: str, language: str = "python") -> str:
    return next(content for found, content in blocks(language) if found == heading)


def test_all_of_it_is_python() -> None:
    found = list(blocks("python"))
    assert len(found) > 8
    for heading, content in found:
        compile(content, heading, "exec")


def test_what_a_newcomer_tries_first(binary: Binary, tmp_path: Path) -> None:
    variables = environment(CURRICULUM=str(binary.path), CURRICULUM_CACHE=str(tmp_path))
    variables.pop("CURRICULUM__SERVER", None)
    command = [sys.executable, "-W", "error", "-c", block("Try it")]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    said = [
        re.fullmatch(r"at iteration (\d+), draws are spread over (\d+)% of .*", line)
        for line in done.stdout.splitlines()
    ]
    assert [match and int(match[1]) for match in said] == [0, 500, 1000]
    shares = [match and int(match[2]) for match in said]
    assert shares == sorted(shares) and shares[0] < shares[-1] == 63


def test_calls_of_a_client(curriculum: Curriculum) -> None:
    names: dict[str, object] = {"curriculum": curriculum}
    exec(block("Weights"), names)
    assert isinstance(names["weights"], np.ndarray) and len(names["weights"]) == curriculum.samples


def test_ways_to_pin(published: Published) -> None:
    ingest.promote(published.address, published.name, "prod")
    text = block("Pin and promote versions").replace("imagenet", published.name).replace("9f0c...", published.version)
    assert text.count("Curriculum.connect(") == 2
    exec(text, {"Curriculum": Curriculum, "address": published.address})


def test_commands(binary: Binary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ServerProcess(binary.path, tmp_path)
    try:
        np.save(tmp_path / "features.npy", features(300))
        first = publish(server.address, "imagenet", 300)
        ingest.promote(server.address, "imagenet", "prod")
        means: list[str] = []
        for line in block("Pin and promote versions", "console").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[0] == "export":
                name, _ = words[1].split("=")
                monkeypatch.setenv(name, f"http://{server.address}")
                continue
            source = {"/data/imagenet/train": str(tmp_path / "features.npy"), "978": "3"}
            done = binary.run(*(source.get(word, word) for word in words[1:]))
            assert words[0] == "curriculum" and done.returncode == 0, done.stderr
            means.append(Curriculum.connect(server.address, "imagenet@prod").version)
        newest = Curriculum.connect(server.address, "imagenet").version
        assert means == [first, newest, first] and newest != first
    finally:
        server.stop()

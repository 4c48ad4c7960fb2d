"""The Dockerfile: linted, and in step with the repository and the binary."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from binary import Binary
from deployment import DEPLOY, dockerfile, run, settings, tool

REPOSITORY = DEPLOY.parent
IMAGES = ("cpu", "cuda")


def test_the_linter_has_nothing_to_say() -> None:
    run(tool("hadolint"), DEPLOY / "docker/Dockerfile")


def test_what_is_copied_is_there_and_let_in() -> None:
    let_in = (DEPLOY / "docker/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in let_in
    copied = {path.rstrip("/") for stage in dockerfile().values() for path in stage.copies()}
    assert copied
    for path in copied:
        assert (REPOSITORY / path).exists(), path
        assert f"!{path}" in let_in, path
    assert {line[1:] for line in let_in if line.startswith("!")} == copied


def test_versions_are_those_of_the_repository() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    runtime = re.search(r"^RUNTIME_VERSION := (\S+)$", makefile, re.MULTILINE)
    manifest = (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(\S+)"$', manifest, re.MULTILINE)
    rust = re.search(r'^rust-version = "(\d+)\.(\d+)"$', manifest, re.MULTILINE)
    assert runtime and version and rust
    stages = dockerfile()
    assert f"fetch_onnxruntime.py {runtime[1]} " in stages["onnxruntime-cpu"].only("RUN")
    for name in IMAGES:
        assert ("ARG", f"VERSION={version[1]}") in stages[name].instructions
    builder = re.fullmatch(r"rust:(\d+)\.(\d+)\.\d+-slim-bookworm", stages["binary"].base)
    assert builder and tuple(map(int, builder.groups())) >= tuple(map(int, rust.groups()))
    for file in [*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml"), *DEPLOY.rglob("*.md")]:
        named = re.findall(r"(\d+\.\d+\.\d+)-(?:cpu|cuda)\b", file.read_text(encoding="utf-8"))
        named += re.findall(r"newTag: (\d+\.\d+\.\d+)", file.read_text(encoding="utf-8"))
        assert set(named) <= {version[1]}, file


def test_images_run_the_binary_with_settings_it_knows(binary: Binary) -> None:
    for name in IMAGES:
        stage = dockerfile()[name]
        environment = stage.environment()
        config = settings(binary, eval_list(stage.only("CMD")), environment)
        folder = Path(stage.only("WORKDIR"))
        assert Path(config["storage"]["data_dir"]).is_relative_to(folder)
        assert Path(environment["HF_HOME"]).is_relative_to(folder)
        ports = {config[section]["addr"].rsplit(":", 1)[1] for section in ("grpc", "http")}
        assert set(stage.only("EXPOSE").split()) == ports
        assert config["model"]["execution_provider"] == name
        assert stage.only("USER") == "65532:65532"
        # Misspelt settings are refused; other names are those that the binary reads, and one of CUDA's.
        others = {key for key in environment if not key.startswith("CURRICULUM__")} - {"CUDA_CACHE_PATH"}
        assert others == {"ORT_DYLIB_PATH", "HF_HOME"}
        content = binary.path.read_bytes()
        assert all(other.encode() in content for other in others)


def test_the_build_tells_the_binary_its_commit() -> None:
    names = re.findall(r'(\w+)="\$\{REVISION\}"', dockerfile()["binary"].only("RUN"))
    sources = [file.read_text(encoding="utf-8") for file in (REPOSITORY / "crates/server/src").rglob("*.rs")]
    assert len(names) == 1
    assert any(f'option_env!("{names[0]}")' in source for source in sources)


def eval_list(text: str) -> list[str]:
    """The exec form of CMD and ENTRYPOINT, without which a shell would be needed."""
    words = yaml.safe_load(text)
    assert isinstance(words, list)
    return words


def test_the_library_lies_where_the_binary_looks() -> None:
    for name in IMAGES:
        stage = dockerfile()[name]
        library = Path(stage.environment()["ORT_DYLIB_PATH"])
        assert any(
            arguments.endswith(f" {library.parent}") and "--from=onnxruntime-" in arguments
            for instruction, arguments in stage.instructions
            if instruction == "COPY"
        )
        assert library.name == "libonnxruntime.so"
        assert eval_list(stage.only("ENTRYPOINT")) == ["/usr/local/bin/curriculum"]

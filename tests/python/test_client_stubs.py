"""What is committed is what the contract generates, and what is installed has all of it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from curriculum.v1 import curriculum_pb2, curriculum_pb2_grpc, ingest_pb2, ingest_pb2_grpc

REPOSITORY = Path(__file__).resolve().parents[2]

# The generator is old on purpose, and has no wheel for newer Pythons.
needs_generator = pytest.mark.skipif(
    importlib.util.find_spec("grpc_tools") is None, reason="needs grpcio-tools, see python/tools/requirements.txt"
)


@needs_generator
def test_stubs_are_those_of_the_contract() -> None:
    import generate_stubs

    assert generate_stubs.main(["--check"]) == 0, "run python/tools/generate_stubs.py"


@needs_generator
def test_a_change_of_the_contract_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import generate_stubs

    for file in generate_stubs.PROTO.rglob("*.proto"):
        copy = tmp_path / file.relative_to(generate_stubs.PROTO)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(
            file.read_text().replace(
                "message ListCurriculaRequest {}", "message ListCurriculaRequest { bool all = 1; }"
            )
        )
    monkeypatch.setattr(generate_stubs, "PROTO", tmp_path)
    assert generate_stubs.main(["--check"]) == 1


@pytest.mark.parametrize(("messages", "stubs"), [(curriculum_pb2, curriculum_pb2_grpc), (ingest_pb2, ingest_pb2_grpc)])
def test_every_call_has_a_stub(messages: object, stubs: object) -> None:
    file = FileDescriptorProto.FromString(messages.DESCRIPTOR.serialized_pb)  # type: ignore[attr-defined]
    (service,) = file.service
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        stub = getattr(stubs, f"{service.name}Stub")(channel)
        assert all(hasattr(stub, method.name) for method in service.method)


def test_the_package_is_typed_and_described() -> None:
    # In Python since 3.11.
    tomllib = pytest.importorskip("tomllib", reason="needs tomllib, of Python 3.11")
    project = tomllib.loads((REPOSITORY / "python/pyproject.toml").read_text())
    for package in project["tool"]["maturin"]["python-packages"]:
        assert (REPOSITORY / "python" / package / "py.typed").exists()
    assert {"cpu", "gpu", "torch"} <= project["project"]["optional-dependencies"].keys()
    assert project["tool"]["maturin"]["bindings"] == "bin"


def test_the_client_needs_neither_torch_nor_onnxruntime() -> None:
    code = "import sys, curriculum; print(sorted({'torch', 'onnxruntime'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY / "python")
    assert done.stdout.strip() == "[]", done.stderr

"""tests/gpu/run.sh: with the real binary on the CPU, and with stand-ins for the binary and nvidia-smi."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import check
from binary import Binary
from conftest import REPOSITORY
from gpu_check import device, runtime, speed
from gpu_check.outcome import Unusable

MODEL = REPOSITORY / "crates/extractor/models/dino_fashion.onnx"
# Runs the GPU script against stand-ins that do `fault`; its exit code and the outcomes by name.
Faulty = Callable[[str], tuple[int, dict[str, dict]]]


def test_dry_run_on_the_cpu(binary: Binary, photographs: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [REPOSITORY / "tests/gpu/run.sh", "--provider", "cpu", "--binary", binary.path, "--model", MODEL]
    command += ["--runtime", binary.path.parent.parent / "onnxruntime", "--images", photographs, "--count", 12]
    command += ["--peer-model", "vit_tiny_patch16_224", "--workers", 1, "--report", report]
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {outcome["name"]: outcome for outcome in json.loads(report.read_text())["outcomes"]}
    passed = {name for name, outcome in outcomes.items() if outcome["status"] == "passed"}
    assert passed == {
        "images differ",
        "features in f32",
        "features in f16",
        "provider in f32",
        "provider in f16",
        "missing provider library",
    }
    goals = {"pipeline in f32", "pipeline in f16", "ahead of PyTorch in f32", "ahead of PyTorch in f16"}
    skipped = {"memory of a run", "memory of a server", "out of memory"}
    assert set(outcomes) == passed | goals | skipped
    for name in outcomes:
        assert f"| {name} " in done.stdout


@pytest.fixture
def faulty(tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    programs, memory, libraries = tmp_path / "bin", tmp_path / "memory", tmp_path / "runtime"
    programs.mkdir()
    libraries.mkdir()
    for name in ("libonnxruntime.so", "libonnxruntime_providers_cuda.so"):
        (libraries / name).touch()
    script = Path(__file__).with_name("fake_curriculum.py")
    (programs / "curriculum").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    answers = 'case "$1" in *memory.used) tee "$FAKE_MEMORY.seen" <"$FAKE_MEMORY";; *) echo "Fake, 1.0, 80000";; esac'
    (programs / "nvidia-smi").write_text(f"#!/bin/sh\n{answers}\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    (tmp_path / "model.onnx").write_bytes(bytes(2**20))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_MEMORY", str(memory))
    monkeypatch.setattr(device, "SECONDS_BETWEEN", 0.005)
    monkeypatch.setattr(device, "SECONDS_TO_SETTLE", 0.005)
    monkeypatch.setattr(speed, "peer", lambda _bench, _dtype, _batch: 900.0)

    def run(fault: str) -> tuple[int, dict[str, dict]]:
        memory.write_text("500")
        monkeypatch.setenv("FAKE_FAULT", fault)
        arguments = ["--binary", programs / "curriculum", "--model", tmp_path / "model.onnx", "--runtime", libraries]
        arguments += ["--images", photographs, "--count", 20, "--report", tmp_path / "report.json"]
        code = check.main([*map(str, arguments)])
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["passed"] == (code == 0) and report["environment"]["device"] == "Fake, 1.0, 80000 MiB"
        return code, {outcome["name"]: outcome for outcome in report["outcomes"]}

    return run


def test_a_sound_binary_passes_every_check(faulty: Faulty) -> None:
    code, outcomes = faulty("")
    assert code == 0
    assert {outcome["status"] for outcome in outcomes.values()} == {"passed", "goal met"}
    assert len(outcomes) == 17
    memory = outcomes["memory of a run in f32"]["figures"]
    assert memory == {"before": 500 * 2**20, "peak": 800 * 2**20, "after": 500 * 2**20}


@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        ("all alike", {"images differ"}),
        ("drifts", {"features in f32", "features in f16", "out of memory"}),
        ("runs on the CPU", {"provider in f32", "provider in f16"}),
        ("leaks", {"memory of a run in f32", "memory of a run in f16"}),
        ("keeps its batch", {"out of memory"}),
        ("falls back", {"missing provider library"}),
        ("keeps a job's memory", {"memory after a job", "memory after a second job"}),
        ("grows", {"memory after a second job"}),
    ],
)
def test_every_fault_fails_its_check(faulty: Faulty, fault: str, failed: set[str]) -> None:
    code, outcomes = faulty(fault)
    assert code == 1
    assert {name for name, outcome in outcomes.items() if outcome["status"] == "FAILED"} == failed


def test_a_missed_goal_is_told_and_does_not_fail(faulty: Faulty) -> None:
    code, outcomes = faulty("is slow")
    missed = {name for name, outcome in outcomes.items() if outcome["status"] == "goal missed"}
    assert code == 0
    assert missed == {f"{goal} in {dtype}" for goal in ("pipeline", "ahead of PyTorch") for dtype in ("f32", "f16")}


def test_wrong_use_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["--model", str(tmp_path / "no.onnx"), "--runtime", str(tmp_path), "--binary", "/bin/sh"]) == 2
    assert "no.onnx: no such file" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        check.main(["--count", "0"])


def test_a_wheel_is_unpacked(tmp_path: Path) -> None:
    wheel, folder = tmp_path / "onnxruntime_gpu.whl", tmp_path / "unpacked"
    folder.mkdir()
    names = ["libonnxruntime.so.1.32.0", "libonnxruntime_providers_cuda.so", "__init__.py", "training/libother.so"]
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in names:
            archive.writestr(f"onnxruntime/capi/{name}", name)
        archive.writestr("../../outside.so", "")
    assert runtime.unpack(wheel, folder) == folder
    assert {file.name for file in folder.iterdir()} == {*names[:2], "libother.so"}
    alone = runtime.without_providers(folder, tmp_path / "alone")
    assert [file.name for file in alone.iterdir()] == names[:1]
    wheel.write_bytes(b"no archive")
    with pytest.raises(Unusable, match="not a zip file"):
        runtime.unpack(wheel, folder)
    with pytest.raises(Unusable, match=r"no libonnxruntime\.so"):
        runtime.unpack(tmp_path, folder)

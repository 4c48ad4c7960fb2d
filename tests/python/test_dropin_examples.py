"""The examples, as users run them but for sizes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

import pytest

import audio
import quick_start
import text
import vision
from binary import Binary
from conftest import Exported
from dropin import serving

REPORT = re.compile(r"iteration (\d+): ([\d.]+)% of the samples, temperature ([\d.]+)")


@pytest.fixture(scope="module")
def server(binary: Binary, tmp_path_factory: pytest.TempPathFactory, vits16: Exported) -> Iterator[str]:
    """One that runs the ViT-S/16 with drawn weights under the name dino_vits16."""
    with serving(binary, tmp_path_factory.mktemp("server"), vits16.file) as address:
        yield address


def iterations(output: str) -> list[int]:
    return [int(iteration) for iteration, _, _ in REPORT.findall(output)]


def test_quick_start(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--samples", "12", "--batch-size", "4", "--epochs", "2", "--device", "cpu", "--server", server]
    quick_start.main(sizes)
    assert iterations(capsys.readouterr().out) == list(range(6))


def test_vision(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--samples", "20", "--batch-size", "4", "--iterations", "3", "--device", "cpu", "--server", server]
    with pytest.warns(UserWarning, match="class"):  # two samples a class
        vision.main(sizes)
    output = capsys.readouterr().out
    assert "clusters in each class" in output and iterations(output) == [0, 1, 2]


def test_audio(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        audio.main(["--samples", "8", "--device", "cpu", "--server", server])
    output = capsys.readouterr().out
    assert "difficulties of 8 spectrograms" in output and iterations(output) == [0, 1000, 2000, 3999, 4000]


def test_text_on_a_server_of_its_own(
    binary: Binary, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CURRICULUM__SERVER", raising=False)
    monkeypatch.setenv("CURRICULUM", str(binary.path))
    text.main(["--samples", "1200", "--device", "cpu"])
    output = capsys.readouterr().out
    assert "difficulties of 1,200 texts" in output and iterations(output) == [0, 2000, 4000, 7999, 8000]

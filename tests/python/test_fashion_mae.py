"""The training example, in small: its parts, and a comparison of all arms on a server of its own."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import train_fashion_mae
from binary import Binary
from dropin import serving
from fashion_mae import arms, data, evaluation, model
from fashion_mae.results import Results

IMAGES = 200
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real images of ten classes, as IDX files; the test split is not compressed."""
    folder = tmp_path_factory.mktemp("idx")
    images, labels, classes = [], [], {}
    with tarfile.open(REPOSITORY / "tests/data/fashion_mnist/train-2000.tar") as archive:
        for member in archive.getmembers()[: 2 * IMAGES]:
            images.append(np.asarray(Image.open(io.BytesIO(archive.extractfile(member).read()))))
            labels.append(classes.setdefault(member.name.split("/")[0], len(classes)))
    assert len(classes) == 10
    for prefix, part in (("train", slice(IMAGES)), ("t10k", slice(IMAGES, None))):
        pixels, names = np.stack(images[part]), np.array(labels[part], dtype=np.uint8)
        image_file = struct.pack(">HBBIII", 0, 8, 3, *pixels.shape) + pixels.tobytes()
        label_file = struct.pack(">HBBI", 0, 8, 1, len(names)) + names.tobytes()
        for name, content in (("images-idx3", image_file), ("labels-idx1", label_file)):
            if prefix == "train":
                (folder / f"{prefix}-{name}-ubyte.gz").write_bytes(gzip.compress(content))
            else:
                (folder / f"{prefix}-{name}-ubyte").write_bytes(content)
    return folder


def options(folder: Path, results: Path, *more: str) -> list[str]:
    sizes = ["--steps", "2", "--batch-size", "16", "--seeds", "1", "--threads", "1"]
    return ["--data", str(folder), "--results", str(results), "--cache", str(folder / "server"), *sizes, *more]


def test_files_are_read_and_images_become_pngs(folder: Path) -> None:
    train, test = data.load(folder, "train"), data.load(folder, "test", 30)
    assert train.images.shape == (IMAGES, 28, 28) and test.images.shape == (30, 28, 28)
    assert set(train.labels.tolist()) == set(range(10))
    image = train.images[7].numpy()
    with Image.open(io.BytesIO(data.encode_png(image))) as decoded:
        np.testing.assert_array_equal(np.asarray(decoded), image)


def test_patches_are_squares_of_the_image() -> None:
    images = torch.arange(2 * 28 * 28).view(2, 28, 28)
    patches = model.to_patches(images)
    assert patches.shape == (2, 49, 16)
    torch.testing.assert_close(patches[1, 9], images[1, 4:8, 8:12].flatten())


def test_what_is_hidden_is_painted_unseen_and_alone_counts() -> None:
    torch.manual_seed(0)
    autoencoder = model.MaskedAutoencoder()
    images, noise = torch.randn(3, 28, 28), torch.rand(3, 49)
    order = noise.argsort(dim=1)

    def painted(patches: torch.Tensor) -> torch.Tensor:
        tokens = model._take(autoencoder.embed(patches) + autoencoder.position, order[:, :12])
        return autoencoder._decode(autoencoder.encode(tokens), order)

    patches = model.to_patches(images)
    hidden = torch.ones(3, 49, dtype=torch.bool).scatter(1, order[:, :12], False)
    expected = (painted(patches) - patches)[hidden].square().mean()
    torch.testing.assert_close(autoencoder(images, noise), expected)
    changed = torch.where(hidden[:, :, None], patches + 1.0, patches)
    torch.testing.assert_close(painted(changed), painted(patches), rtol=0, atol=0)


def test_scores_are_high_where_classes_are_apart_and_by_chance_where_there_is_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(1000) % 10
    apart = torch.nn.functional.one_hot(labels, 16) + 0.1 * torch.randn(1000, 16, generator=generator)
    noise = torch.randn(1000, 16, generator=generator)
    for score in (evaluation.knn_accuracy, evaluation.linear_accuracy):
        assert score(apart[:500], labels[:500], apart[500:], labels[500:]) == 1.0
        assert score(noise[:500], labels[:500], noise[500:], labels[500:]) < 0.2


def test_the_rate_rises_and_falls() -> None:
    rates = [arms.learning_rate(step / 100) for step in range(100)]
    assert rates[0] == 0.0 and max(rates) == rates[10] == 1.0 and rates[-1] < 0.01


def test_arms_draw_what_their_name_says(binary: Binary, folder: Path) -> None:
    arguments = train_fashion_mae.parse(options(folder, folder / "unused", "--batch-size", "2000"))
    train = data.load(folder, "train")
    with (
        serving(binary, folder / "server") as address,
        train_fashion_mae.submit(address, arguments, train) as curriculum,
    ):
        difficulty = curriculum.difficulty()
        means = {
            arm: difficulty[next(train_fashion_mae.draw(curriculum, arm, 5, arguments))].mean() for arm in arms.ARMS
        }
    middle = difficulty.mean()
    # Mean of 2,000 draws.
    spread = 4 * difficulty.std() / 2000**0.5
    assert means["curriculum"] < middle - 2 * spread and means["reversed"] > middle + 2 * spread
    assert abs(means["uniform"] - middle) < spread


def test_all_arms_run_and_a_second_run_adds_nothing(
    binary: Binary, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURRICULUM", str(binary.path))
    monkeypatch.setenv("CURRICULUM_CACHE", str(tmp_path))
    file = tmp_path / "runs.json"
    train_fashion_mae.main(options(folder, file))
    table = capsys.readouterr().out.splitlines()[-6:]
    runs = json.loads(file.read_text())["runs"]
    assert [run["arm"] for run in runs] == list(arms.ARMS)
    for run in runs:
        assert set(run["scores"]) == {"1", "2"} and run["distinct"] <= 2 * 16 and run["loss"] > 0
        assert all(0.1 < score <= 1.0 for scores in run["scores"].values() for score in scores.values())
    assert [line.split("|")[1].strip() for line in table] == ["arm", "---", *arms.ARMS]
    assert f"{100 * runs[0]['scores']['2']['knn']:.2f}" in table[2]

    monkeypatch.setattr(arms, "train", None)
    train_fashion_mae.main(options(folder, file))
    assert capsys.readouterr().out.splitlines()[-6:] == table
    with pytest.raises(ValueError, match="another setting"):
        train_fashion_mae.main(options(folder, file, "--start", "0.3"))


def test_the_table_has_mean_and_spread(tmp_path: Path) -> None:
    results = Results(tmp_path / "runs.json", {})
    for seed, knn in enumerate((0.70, 0.72, 0.74)):
        results.add(arms.Run("uniform", seed, {"10": {"knn": knn, "linear": 0.5}}, 1.0, 100 + seed, 2.0))
    assert "| uniform | 3 | 72.00 ± 2.00 | 50.00 ± 0.00 | 101 |" in results.table()

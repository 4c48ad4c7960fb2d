"""Sources as other tools write them: pyarrow's Parquet, photographs in odd formats, embeddings."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from binary import Binary

MODEL = "dino_fashion"
# torchvision's, which decide what a folder of images holds.
EXTENSIONS = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
# Pixels of 64-bit floats, which Pillow refuses too.
UNREADABLE = "multipage_rgb.tif"
TOLERANT = ("--max-failed-fraction", "0.1")
# Codec and version of the data pages. What is left out is refused with advice.
STORED = [
    ("NONE", "1.0"),
    ("NONE", "2.0"),
    ("SNAPPY", "1.0"),
    ("SNAPPY", "2.0"),
    ("GZIP", "1.0"),
    ("ZSTD", "2.0"),
    ("LZ4", "1.0"),
]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flat folder of what scikit-image and scikit-learn bundle: grey, palette, alpha, 16 bit, multi-page, JPEG."""
    folder = tmp_path_factory.mktemp("odd")
    for package, parent in (("scikit-image", "data"), ("scikit-learn", "images")):
        for file in importlib.metadata.files(package) or []:
            if file.parent.name == parent and file.suffix.lower() in EXTENSIONS:
                shutil.copy(file.locate(), folder)
    assert len(list(folder.iterdir())) >= 20
    return folder


def extracted(binary: Binary, source: Path, out: Path, *flags: str) -> tuple[list[str], np.ndarray, dict]:
    """Ids, features f32 (N, D), and what `--json` says."""
    done = binary.run("extract", source, "--model", MODEL, "--out", out, "--json", *flags)
    assert done.returncode == 0, done.stderr
    lines = out.with_suffix(".ids.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["id"] for line in lines], np.load(out), json.loads(done.stdout.splitlines()[-1])


def test_photographs_of_every_kind_are_read(binary: Binary, odd: Path, tmp_path: Path) -> None:
    ids, features, said = extracted(binary, odd, tmp_path / "features.npy", *TOLERANT)
    assert ids == sorted(file.name for file in odd.iterdir())
    assert said["failed"] == 1
    broken = ~np.isfinite(features).all(axis=1)
    assert [name for name, failed in zip(ids, broken, strict=True) if failed] == [UNREADABLE]


@pytest.mark.parametrize(("compression", "version"), STORED)
def test_parquet_of_pyarrow_gives_the_features_of_the_folder(
    binary: Binary, odd: Path, tmp_path: Path, compression: str, version: str
) -> None:
    files = sorted(odd.iterdir())
    image = pa.array(
        [{"bytes": file.read_bytes(), "path": file.name} for file in files],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    label = pa.array([index % 3 for index in range(len(files))], pa.int64())
    table = pa.table({"image": image, "label": label})
    file = tmp_path / "images.parquet"
    pq.write_table(
        table,
        file,
        compression=compression,
        data_page_version=version,
        row_group_size=7,
        use_dictionary=version == "1.0",
    )
    ids, features, said = extracted(binary, file, tmp_path / "parquet.npy", *TOLERANT)
    of_folder, expected, _ = extracted(binary, odd, tmp_path / "folder.npy", *TOLERANT)
    assert ids == of_folder and said["failed"] == 1
    assert features.tobytes() == expected.tobytes()


def test_images_that_hugging_face_left_where_they_are_are_read(binary: Binary, odd: Path, tmp_path: Path) -> None:
    files = sorted(odd.iterdir())
    image = pa.array(
        [{"bytes": None, "path": str(file)} for file in files],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    table = tmp_path / "images.parquet"
    pq.write_table(pa.table({"image": image}), table, row_group_size=7)
    ids, features, _ = extracted(binary, table, tmp_path / "table.npy", *TOLERANT)
    assert ids == [str(file) for file in files]
    _, expected, _ = extracted(binary, odd, tmp_path / "folder.npy", *TOLERANT)
    np.testing.assert_array_equal(features, expected)


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    """Features f32 (600, 16) around five centres."""
    generator = np.random.default_rng(3)
    centres = generator.normal(size=(5, 16))
    return (centres[np.arange(600) % 5] + 0.3 * generator.normal(size=(600, 16))).astype(np.float32)


VECTORS = {
    "list": pa.list_(pa.float32()),
    "large_list": pa.large_list(pa.float32()),
    "fixed_size_list": pa.list_(pa.float32(), 16),
    "double": pa.list_(pa.float64()),
}


@pytest.mark.parametrize("kind", VECTORS)
def test_vectors_in_parquet_fit_as_the_same_npy(
    binary: Binary, embeddings: np.ndarray, tmp_path: Path, kind: str
) -> None:
    column = pa.array([row.tolist() for row in embeddings], VECTORS[kind])
    ids = pa.array([f"doc-{index}" for index in range(len(embeddings))])
    pq.write_table(pa.table({"id": ids, "embedding": column}), tmp_path / "vectors.parquet", row_group_size=250)
    np.save(tmp_path / "vectors.npy", embeddings)
    fitted = {}
    for name in ("vectors.parquet", "vectors.npy"):
        out = tmp_path / f"{name}.npz"
        done = binary.run("fit", tmp_path / name, "--clusters", "5", "--out", out)
        assert done.returncode == 0, done.stderr
        with np.load(out) as arrays:
            fitted[name] = {key: arrays[key].tobytes() for key in ("difficulty", "distance", "cluster", "centroids")}
    assert fitted["vectors.parquet"] == fitted["vectors.npy"]

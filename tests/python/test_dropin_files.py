"""Saving and loading, and the original's pickles."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from curriculum_learning import CurriculumLearning, convert_legacy
from dropin import with_difficulties

DIFFICULTY = np.float32([0.0, 0.25, 0.5, 1.0])


@pytest.mark.parametrize("name", ["weights.npz", "weights.pkl", "weights"])
@pytest.mark.parametrize("labels", [None, np.array([3, 1, 1, 2]), np.array(["a", "b", "b", "c"], dtype=object)])
def test_what_is_saved_is_loaded(tmp_path: Path, name: str, labels: np.ndarray | None) -> None:
    saved = with_difficulties(DIFFICULTY, warmup_iterations=10)
    saved.labels_, saved.optimal_clusters_ = labels, 3
    saved.save_weights(str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == [name]

    loaded = with_difficulties(np.zeros(1), warmup_iterations=20)
    loaded.load_weights(str(tmp_path / name))
    np.testing.assert_array_equal(loaded.get_difficulty_weights(), DIFFICULTY)
    assert loaded.weights_.dtype == np.float32 and loaded.optimal_clusters_ == 3
    assert loaded.labels_ is None if labels is None else np.array_equal(loaded.labels_, labels)
    # The schedule is the constructor's.
    np.testing.assert_array_equal(loaded.get_curriculum_weights(current_iteration=15), saved_weights(15, 20))


def saved_weights(iteration: int, warmup: int) -> np.ndarray:
    return with_difficulties(DIFFICULTY, warmup_iterations=warmup).get_curriculum_weights("difficulty", iteration)


def test_the_name_that_the_original_wrote_is_found(tmp_path: Path) -> None:
    saved = with_difficulties(DIFFICULTY)
    saved.save_weights(tmp_path / "weights.v1")
    loaded = CurriculumLearning(None)
    loaded.load_weights(tmp_path / "weights.v1.npy")
    np.testing.assert_array_equal(loaded.weights_, DIFFICULTY)
    # A file of that very name comes first.
    saved.weights_ = DIFFICULTY[::-1]
    saved.save_weights(tmp_path / "weights.v1.npy")
    loaded.load_weights(tmp_path / "weights.v1.npy")
    np.testing.assert_array_equal(loaded.weights_, DIFFICULTY[::-1])


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    curriculum = with_difficulties(DIFFICULTY)
    with pytest.raises(FileNotFoundError):
        curriculum.load_weights(tmp_path / "none.npz")
    (tmp_path / "text").write_text("weights")
    (tmp_path / "empty").touch()
    np.savez(tmp_path / "other.npz", w=DIFFICULTY)
    for name in ("text", "empty", "other.npz"):
        with pytest.raises(ValueError, match="no file that save_weights wrote"):
            curriculum.load_weights(tmp_path / name)
    # Nothing was lost.
    np.testing.assert_array_equal(curriculum.weights_, DIFFICULTY)


class Trap:
    """Leaves a mark if it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def state(**more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "weights_": DIFFICULTY,
        "labels_": [0, 1, 1, 2],
        "optimal_clusters_": np.int64(5),
        "features_": torch.randn(4, 3),
        "extra": collections.OrderedDict(a=np.float64(1.5)),
    } | more


def test_a_pickle_is_refused_unread_and_says_what_to_do(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    old = tmp_path / "old.pkl"
    old.write_bytes(pickle.dumps(state(trap=Trap(mark))))
    with pytest.raises(ValueError, match="convert_legacy"):
        with_difficulties(DIFFICULTY).load_weights(old)
    assert not mark.exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_is_converted_without_running_what_is_in_it(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    old, new = tmp_path / "old.pkl", tmp_path / "new.npz"
    # Arrays, tensors and, in between, what must not be built.
    old.write_bytes(pickle.dumps(state(trap=Trap(mark)), protocol=protocol))
    with pytest.warns(UserWarning, match="only files that you trust"):
        convert_legacy(old, new)
    assert not mark.exists()
    loaded = CurriculumLearning(None)
    loaded.load_weights(new)
    np.testing.assert_array_equal(loaded.weights_, DIFFICULTY)
    np.testing.assert_array_equal(loaded.labels_, [0, 1, 1, 2])
    assert loaded.optimal_clusters_ == 5


def named(module: str, name: str) -> bytes:
    """Pickle's instructions for pushing `module.name`, which may have dots."""
    texts = (b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    return b"".join(texts) + b"\x93"


def test_dots_in_a_name_lead_nowhere(tmp_path: Path) -> None:
    mark, old = tmp_path / "mark", tmp_path / "old.pkl"
    code = f"__import__('os').mkdir({str(mark)!r})"
    helper = "_add_dtype_helper.__globals__"
    # get = helper.__globals__.get; type(globals).get(get("__builtins__"), "eval")(code)
    text = b"X" + len(code).to_bytes(4, "little") + code.encode()
    evaluated = (
        named("numpy.dtypes", f"{helper}.__class__.get")
        + named("numpy.dtypes", f"{helper}.get")
        + b"\x8c\x0c__builtins__\x85R\x8c\x04eval\x86R"
        + text
        + b"\x85R"
    )
    old.write_bytes(b"\x80\x04}\x8c\x08weights_" + evaluated + b"s.")
    with pytest.warns(UserWarning), contextlib.suppress(Exception):
        convert_legacy(old, tmp_path / "new.npz")
    assert not mark.exists()


def test_what_the_originals_save_weights_wrote_is_converted(tmp_path: Path) -> None:
    mark, old, new = tmp_path / "mark", tmp_path / "old.npy", tmp_path / "new.npz"
    content = {"weights": DIFFICULTY, "n_clusters": 5, "features": torch.randn(4, 3), "labels": None}
    np.save(old, content | {"trap": Trap(mark)})
    with pytest.raises(ValueError, match="convert_legacy"):
        CurriculumLearning(None).load_weights(old)
    with pytest.warns(UserWarning, match="only files that you trust"):
        convert_legacy(old, new)
    assert not mark.exists()
    loaded = CurriculumLearning(None)
    loaded.load_weights(new)
    np.testing.assert_array_equal(loaded.weights_, DIFFICULTY)
    assert loaded.optimal_clusters_ == 5 and loaded.labels_ is None


@pytest.mark.parametrize("content", [DIFFICULTY, np.array([{"weights": DIFFICULTY}] * 2, dtype=object), {"other": 1}])
def test_arrays_that_are_no_such_file_are_refused(tmp_path: Path, content: object) -> None:
    np.save(tmp_path / "old.npy", content)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="no difficulties"):
        convert_legacy(tmp_path / "old.npy", tmp_path / "new.npz")


class Old:
    """As if the whole object had been pickled."""

    def __init__(self) -> None:
        self.weights_ = torch.tensor(DIFFICULTY)
        self.kmeans = Old.__new__(Old)


def test_objects_give_their_attributes(tmp_path: Path) -> None:
    old, new = tmp_path / "old.pkl", tmp_path / "new.npz"
    old.write_bytes(pickle.dumps(Old()))
    with pytest.warns(UserWarning):
        convert_legacy(old, new)
    loaded = CurriculumLearning(None)
    loaded.load_weights(new)
    np.testing.assert_array_equal(loaded.weights_, DIFFICULTY)
    assert loaded.labels_ is None and loaded.optimal_clusters_ is None


def test_what_torch_saved_is_converted(tmp_path: Path) -> None:
    old, new = tmp_path / "old.pt", tmp_path / "new.npz"
    torch.save({"weights": torch.tensor(DIFFICULTY), "labels": np.arange(4), "n_clusters": 5}, old)
    with pytest.warns(UserWarning):
        convert_legacy(old, new)
    loaded = CurriculumLearning(None)
    loaded.load_weights(new)
    np.testing.assert_array_equal(loaded.weights_, DIFFICULTY)


@pytest.mark.parametrize(
    "content", [{"other": 1}, {"weights_": None}, [1, 2], {"weights": np.ones((2, 2))}, {"weights": "a"}]
)
def test_pickles_without_difficulties_are_refused(tmp_path: Path, content: Any) -> None:  # noqa: ANN401
    old = tmp_path / "old.pkl"
    old.write_bytes(pickle.dumps(content))
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="difficulties"):
        convert_legacy(old, tmp_path / "new.npz")
    assert not (tmp_path / "new.npz").exists()

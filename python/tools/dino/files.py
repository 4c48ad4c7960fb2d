"""Files that appear whole, or not at all."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import ExportError


@contextlib.contextmanager
def written_together(model: Path, entry: Path) -> Iterator[tuple[Path, Path]]:
    """Two unfinished files in the folder of `model`, which take their names when the block ends well.

    The model is renamed last: where it is, its entry is too. Raises ExportError if the folder cannot be
    written to.
    """
    try:
        model.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{model.stem}-", dir=model.parent) as folder:
            unfinished = Path(folder, model.name), Path(folder, entry.name)
            yield unfinished
            unfinished[1].replace(entry)
            unfinished[0].replace(model)
    except OSError as error:
        raise ExportError(f"--out {model}: {error}") from error

"""Progress of what this process does: a bar with tqdm, plain lines without."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from torch.utils.data import DataLoader

T = TypeVar("T")

LINE_SECONDS = 10.0


def counted(items: Iterable[T], what: str, loader: DataLoader[Any]) -> Iterator[T]:
    """The items, as many as `loader` has batches, while standard error shows how many of them are done."""
    total = len(loader) if hasattr(loader.dataset, "__len__") else None
    try:
        from tqdm import tqdm
    except ImportError:
        return _lines(items, what, total)
    return iter(tqdm(items, desc=what, total=total, unit="batch"))


def _lines(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    done, shown = 0, time.monotonic()
    for item in items:
        yield item
        done += 1
        if time.monotonic() - shown >= LINE_SECONDS:
            shown = time.monotonic()
            _show(what, done, total)
    _show(what, done, total)


def _show(what: str, done: int, total: int | None) -> None:
    print(f"{what}: {done}{f' of {total}' if total else ''} batches", file=sys.stderr, flush=True)

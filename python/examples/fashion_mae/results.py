"""Finished runs in a JSON file, and the table they make."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict
from pathlib import Path

from fashion_mae.arms import ARMS, Run


class Results:
    """Runs that a file remembers, so that an interrupted comparison goes on where it stopped."""

    def __init__(self, file: Path, setting: dict[str, object]) -> None:
        """Takes up the runs in `file`. ValueError when they were made under another `setting`."""
        self.file = file
        self.setting = setting
        self.runs: list[Run] = []
        if file.exists():
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["setting"] != setting:
                raise ValueError(f"{file} holds runs of another setting: {content['setting']}")
            self.runs = [Run(**run) for run in content["runs"]]

    def has(self, arm: str, seed: int) -> bool:
        """Whether this run is finished."""
        return any((run.arm, run.seed) == (arm, seed) for run in self.runs)

    def add(self, run: Run) -> None:
        """Writes the runs so far and this one: the old file or the new one, never half of it."""
        self.runs.append(run)
        content = {"setting": self.setting, "runs": [asdict(run) for run in self.runs]}
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.file)

    def table(self) -> str:
        """Markdown: mean and sample standard deviation over the seeds, in per cent."""
        counts = sorted(self.runs[0].scores, key=int)
        columns = [(metric, count) for metric in ("knn", "linear") for count in counts]
        names = {"knn": "k-NN", "linear": "linear probe"}
        lines = [
            "| arm | seeds | " + " | ".join(f"{names[metric]}, {count} steps" for metric, count in columns)
            + " | distinct images drawn |",
            "|---" * (len(columns) + 3) + "|",
        ]  # fmt: skip
        for arm in ARMS:
            runs = [run for run in self.runs if run.arm == arm]
            if runs:
                cells = [_spread([100 * run.scores[count][metric] for run in runs]) for metric, count in columns]
                distinct = statistics.mean(run.distinct for run in runs)
                lines.append(f"| {arm} | {len(runs)} | " + " | ".join(cells) + f" | {distinct:,.0f} |")
        return "\n".join(lines)


def _spread(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean

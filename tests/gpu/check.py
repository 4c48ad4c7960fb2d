"""Checks and measures `curriculum extract` on a GPU; see run.sh, which starts it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from gpu_check import features, limits, memory, speed
from gpu_check.bench import Bench
from gpu_check.environment import describe
from gpu_check.outcome import Outcome, Report, Unusable
from gpu_check.settings import Settings, parse_arguments

CHECKS: dict[str, Callable[[Bench], list[Outcome]]] = {
    "features": features.agreement,
    "provider": features.provider,
    "speed": speed.pipeline,
    "pytorch": speed.pytorch,
    "memory of a run": memory.of_a_run,
    "memory of a server": memory.of_a_server,
    "out of memory": limits.out_of_memory,
    "missing provider library": limits.refusal,
}


def run(settings: Settings) -> Report:
    """Every check, whether or not one before it failed."""
    with tempfile.TemporaryDirectory(prefix="curriculum-gpu-") as folder:
        bench = Bench.set_up(settings, Path(folder))
        report = Report(describe(bench))
        for name, check in CHECKS.items():
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                report.outcomes += check(bench)
            except Unusable as error:
                report.outcomes.append(Outcome.failed(name, str(error)))
        return report


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    settings = parse_arguments(arguments)
    try:
        report = run(settings)
    except Unusable as error:
        print(f"check.py: {error}", file=sys.stderr)
        return 2
    settings.report.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    print(report.table())
    print(f"\n{settings.report}")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())

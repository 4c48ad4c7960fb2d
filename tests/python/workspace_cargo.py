#!/usr/bin/env python3
"""cargo, but `cargo rustc --bin curriculum` builds what `make` has built already.

maturin selects one package. Some forty of its dependencies have other features than in the workspace, and would be
compiled once more, for minutes. All its other flags, and all other commands, are passed on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# As DEBUG_BUILD in the Makefile.
SELECTION = ("build", "--workspace", "--bins", "--tests")
# Of maturin's arguments, those that select, and have a value.
REPLACED = ("--manifest-path", "--bin")


def build(arguments: list[str]) -> int:
    """Prints the messages of cargo, those about test executables left out."""
    given = iter(arguments)
    kept = [argument for argument in given if argument not in REPLACED or next(given, None) is None]
    command = ["cargo", *SELECTION, *kept]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not (line.startswith("{") and json.loads(line).get("profile", {}).get("test")):
                print(line, end="", flush=True)
    return process.returncode


def main(arguments: list[str]) -> int:
    """The exit status of cargo."""
    if arguments[:1] == ["rustc"]:
        return build(arguments[1:])
    return subprocess.run(["cargo", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

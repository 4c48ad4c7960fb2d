"""Exports a DINO model, or any model of timm, to ONNX with its entry beside it.

    python export_dino.py dino_vits16 --out models/dino_vits16.onnx
    curriculum extract photos/ --model models/dino_vits16.onnx --out features.npy

Needs the packages of requirements.txt. The file holds its weights, takes batches of any size, and
is left only if ONNX Runtime and PyTorch agree on it. Exit codes: 0 done, 2 refused with a reason.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dino import ExportError
from dino.architecture import ALIASES, DEFAULT_SOURCE, SOURCES, Choice
from dino.comparison import BATCHES, compare
from dino.entry import entry_toml
from dino.files import written_together
from dino.graph import DEFAULT_OPSET, DTYPES, OPSETS, OUTPUTS, to_onnx
from dino.network import build


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Flags as documented by --help; argparse itself exits with 2 on a bad one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", metavar="NAME", help=f"{', '.join(ALIASES)}, or any model of timm")
    parser.add_argument("--out", type=Path, help="the ONNX file; default NAME.onnx")
    parser.add_argument("--source", choices=SOURCES, default=DEFAULT_SOURCE, help="of the architecture and its weights")
    parser.add_argument("--hub-repository", help="for torch.hub: OWNER/NAME[:REF], or a local clone")
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--weights", type=Path, help="a state dict (.pth, .safetensors) instead of a download")
    weights.add_argument("--random-weights", action="store_true", help="untrained, for tests and timings")
    parser.add_argument("--seed", type=int, default=0, help="of --random-weights")
    parser.add_argument("--output", choices=OUTPUTS, default="tokens", help="all tokens, or the class token alone")
    parser.add_argument("--dtype", choices=DTYPES, default="f32", help="of weights and input; f16 is for GPUs")
    parser.add_argument("--opset", type=int, choices=OPSETS, default=DEFAULT_OPSET, metavar=f"{OPSETS[0]}-{OPSETS[-1]}")
    parser.add_argument("--crop", type=int, help="side of the input in pixels; default the model's own")
    parser.add_argument("--resize", type=int, help="shorter side before the centre crop; default the model's own")
    return parser.parse_args(arguments)


def export(options: argparse.Namespace) -> None:
    """Writes the file and its entry, and prints what was compared.

    Raises ExportError, with nothing left on disk, if any step fails.
    """
    out: Path = options.out or Path(f"{options.name}.onnx")
    if out.suffix != ".onnx":
        raise ExportError(f"--out {out}: must end in .onnx")
    choice = Choice.resolve(options.name, options.source, crop=options.crop, resize=options.resize)
    network = build(
        choice,
        repository=options.hub_repository,
        weights=options.weights,
        seed=options.seed if options.random_weights else None,
    )
    with written_together(out, out.with_suffix(".toml")) as (onnx_file, entry_file):
        to_onnx(network, onnx_file, output=options.output, dtype=options.dtype, opset=options.opset)
        for batch in BATCHES:
            print(compare(network, onnx_file, batch, output=options.output, dtype=options.dtype))
        entry_file.write_text(entry_toml(out.stem, network, options.output), encoding="utf-8")
        size = onnx_file.stat().st_size
    print(f"{out}: {size:,} bytes; {out.with_suffix('.toml')}")


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    try:
        export(parse_arguments(arguments))
    except ExportError as error:
        print(f"export_dino: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

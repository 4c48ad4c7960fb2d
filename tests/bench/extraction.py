"""Images per second of `curriculum extract`, beside the model's session alone in the same run.

    python tests/bench/extraction.py target/release/curriculum

Rounds of ViT-S/16 on photographs (JPEG, about 500x375), then their best figures, which other work on
the machine disturbs least; and one round of the embedded model on small PNGs. Needs what
python/tools/requirements.txt names, and Pillow.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import inputs

COLUMNS = "{:<26} {:>8} {:>6} {:>9} {:>9} {:>6} {:>9} {:>9} {:>7}  {}"


def extract(binary, source, out, *flags):
    """What `--json` says."""
    command = [binary, "extract", source, "--out", out, "--json", "--bare-session", *flags]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    said = json.loads(done.stdout.splitlines()[-1])
    if said["failed"]:
        raise SystemExit(f"{source}: {said['failed']} samples failed")
    return said


def bound(said):
    """What the run waited for: whatever took the most of it. Loading runs on many threads, so that its seconds
    say nothing of the wait; what the sessions leave is.
    """
    share = said["seconds"]["session"] / said["seconds"]["extract"]
    return f"the session ({share:.0%} of the time)" if share >= 0.5 else f"loading (session {share:.0%} of the time)"


def row(name, said):
    """A line of the table."""
    whole, bare, seconds = said["images_per_second"], said["bare_images_per_second"], said["seconds"]
    figures = (f"{whole:.1f}", f"{bare:.1f}", f"{whole / bare:.3f}", f"{seconds['session']:.2f}")
    figures += (f"{seconds['load']:.2f}", f"{seconds['extract']:.2f}", bound(said))
    return COLUMNS.format(name, said["samples"], said["batch_size"], *figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--photographs", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=4, help="on photographs")
    parser.add_argument("--small", type=int, default=60_000, help="small images")
    parser.add_argument("--threads", type=int, default=0, help="of the model [default: one per core]")
    parser.add_argument("--batch-size", type=int, default=0, help="[default: as the binary finds]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photographs = inputs.write_photographs(folder / "images", arguments.photographs)
        small = inputs.write_small_images(folder / "small.tar", arguments.small)
        vits16 = inputs.export_vits16(folder)
        out = folder / "features.npy"
        flags = ("--threads", arguments.threads, "--batch-size", arguments.batch_size)
        heads = ("images", "batch", "images/s", "session", "ratio", "session s", "load s", "total s", "bound by")
        print(COLUMNS.format("", *heads), flush=True)
        rounds = []
        for number in range(arguments.rounds):
            rounds.append(extract(arguments.binary, photographs, out, "--model", vits16, *flags))
            print(row(f"ViT-S/16, JPEG, round {number + 1}", rounds[-1]), flush=True)
        whole, bare = (max(said[rate] for said in rounds) for rate in ("images_per_second", "bare_images_per_second"))
        print(f"{'ViT-S/16, JPEG, best':<42} {whole:>9.1f} {bare:>9.1f} {whole / bare:>6.3f}", flush=True)
        print(row("dino_fashion, small PNG", extract(arguments.binary, small, out, *flags)))


if __name__ == "__main__":
    main()

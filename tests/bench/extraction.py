"""Images per second of `curriculum extract`, beside the model's session alone in the same run.

    python tests/bench/extraction.py target/release/curriculum

Rounds of ViT-S/16 on photographs (JPEG, about 500x375), and one of the embedded model on small PNGs.
Needs what python/tools/requirements.txt names, and Pillow.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import inputs

COLUMNS = "{:<26} {:>8} {:>6} {:>9} {:>9} {:>6} {:>9} {:>9} {:>7}  {}"


def extract(binary, source, out, *flags):
    """What `--json` says, and `wall` seconds of the whole command."""
    command = [binary, "extract", source, "--out", out, "--json", "--bare-session", *flags]
    started = time.monotonic()
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    if said["failed"]:
        raise SystemExit(f"{source}: {said['failed']} samples failed")
    return said | {"wall": time.monotonic() - started}


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
    parser.add_argument("--rounds", type=int, default=3, help="on photographs")
    parser.add_argument("--small", type=int, default=60_000, help="small images")
    parser.add_argument("--threads", type=int, default=0, help="of the model [default: one per core]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photographs = inputs.write_photographs(folder / "images", arguments.photographs)
        small = inputs.write_small_images(folder / "small.tar", arguments.small)
        vits16 = inputs.export_vits16(folder)
        out, threads = folder / "features.npy", ("--threads", arguments.threads)
        heads = ("images", "batch", "images/s", "session", "ratio", "session s", "load s", "total s", "bound by")
        print(COLUMNS.format("", *heads), flush=True)
        for number in range(arguments.rounds):
            said = extract(arguments.binary, photographs, out, "--model", vits16, *threads)
            print(row(f"ViT-S/16, JPEG, round {number + 1}", said), flush=True)
        said = extract(arguments.binary, small, out, *threads)
        print(row("dino_fashion, small PNG", said))


if __name__ == "__main__":
    main()

"""A job at scale: peak anonymous memory of the server, and the time that kills cost.

    python tests/bench/jobs.py target/release/curriculum

Images are 8x8 PGMs in one file, pointed into by a JSONL manifest; the model is the tests' linear one,
so that what is measured is the job and not the model. Memory is RssAnon of /proc/PID/status, sampled.
What kills cost is told from runs with and without them in turns, in seconds and in seconds of processor
time: on a machine that does other work too, only the latter are steady.
Needs NumPy; Linux only.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np

from fit_memory import anonymous_bytes

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / "crates/extractor/tests/data/linear.onnx"
SAMPLE_SECONDS = 0.02
POLL_SECONDS = 0.1
HEADER = b"P5\n8 8\n255\n"
READY = "listening on "


def write_dataset(folder, samples):
    """The manifest's path."""
    folder.mkdir()
    images = np.empty((samples, len(HEADER) + 64), np.uint8)
    images[:, : len(HEADER)] = np.frombuffer(HEADER, np.uint8)
    # A random walk, so that there is something to cluster; every image differs from the others.
    generator = np.random.default_rng(1)
    centres = generator.integers(0, 256, (10, 64))
    noise = generator.integers(-40, 41, (samples, 64))
    images[:, len(HEADER) :] = np.clip(centres[np.arange(samples) % 10] + noise, 0, 255)
    (folder / "images.pgm").write_bytes(images.tobytes())
    length = images.shape[1]
    with (folder / "manifest.jsonl").open("w") as manifest:
        for index in range(samples):
            row = {"id": f"{index:08}", "path": "images.pgm", "offset": index * length, "length": length}
            manifest.write(json.dumps(row) + "\n")
    return folder / "manifest.jsonl"


class Clock:
    """Processor time of the servers that have ended."""

    seconds = 0.0

    def end(self, process):
        process.kill()
        _, process.returncode, used = os.wait4(process.pid, 0)
        self.seconds += used.ru_utime + used.ru_stime


@contextlib.contextmanager
def serving(binary, data, log, clock):
    """The process and its address."""
    command = [binary, "serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "off", "--data-dir", data]
    command = [*map(str, command), "--model", str(MODEL)]
    with log.open("a") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            line = process.stdout.readline().strip()
            if not line.startswith(READY):
                raise SystemExit(log.read_text())
            yield process, line.removeprefix(READY)
        finally:
            clock.end(process)


def call(binary, url, *arguments):
    done = subprocess.run(
        [str(binary), *map(str, arguments), "--server", url, "--json"], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def submit(binary, url, manifest):
    return call(binary, url, "submit", manifest, "--name", "bench", "--clusters", 20)["job"]


def wait(binary, url, job, process, until=None):
    """The job's end, or `until`, in time.monotonic(); with the peak of anonymous memory on the way."""
    peak, next_look = 0, time.monotonic()
    while until is None or time.monotonic() < until:
        peak = max(peak, anonymous_bytes(process.pid))
        if time.monotonic() >= next_look:
            next_look = time.monotonic() + POLL_SECONDS
            said = call(binary, url, "jobs", job)
            if said["state"] in ("failed", "cancelled"):
                raise SystemExit(said["reason"])
            if said["state"] == "succeeded":
                return said, peak
        time.sleep(SAMPLE_SECONDS)
    return None, peak


def undisturbed(binary, folder, manifest, clock):
    """What the job says at its end, peak of anonymous memory, seconds."""
    with serving(binary, folder / "data", folder / "log", clock) as (process, url):
        idle = anonymous_bytes(process.pid)
        started = time.monotonic()
        job = submit(binary, url, manifest)
        said, peak = wait(binary, url, job, process)
        return said, peak, idle, time.monotonic() - started


def killed(binary, folder, manifest, seconds, kills, clock):
    """Seconds from the submission to the end, with `kills` evenly spread over the work; and restarts' share."""
    started, job, starting = time.monotonic(), None, 0.0
    for number in range(kills + 1):
        begun = time.monotonic()
        with serving(binary, folder / "data", folder / "log", clock) as (process, url):
            if number == 0:
                started = time.monotonic()
                job = submit(binary, url, manifest)
            else:
                starting += time.monotonic() - begun
            last = number == kills
            said, _ = wait(binary, url, job, process, None if last else time.monotonic() + seconds / (kills + 1))
            if said:
                return time.monotonic() - started, starting, said
    raise SystemExit("the job does not end")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--samples", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="runs with kills")
    parser.add_argument("--folder", help="for data [default: the system's]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        measured = []
        for samples in arguments.samples:
            folder = pathlib.Path(name) / str(samples)
            folder.mkdir()
            manifest = write_dataset(folder / "source", samples)
            said, peak, idle, seconds = undisturbed(arguments.binary, folder, manifest, Clock())
            stages = ", ".join(f"{stage} {spent:.2f} s" for stage, spent in said["seconds"].items())
            print(
                f"{samples:>9,} samples: {seconds:7.1f} s ({stages}); peak of anonymous memory "
                f"{peak / 2**20:.0f} MiB, {idle / 2**20:.0f} MiB before the job",
                flush=True,
            )
            measured.append((samples, peak, seconds, said["version"], manifest))
        if len(measured) > 1:
            (few, low, *_), (many, high, *_) = measured[0], measured[-1]
            print(f"between them: {(high - low) / (many - few):.1f} bytes of anonymous memory a sample", flush=True)
        samples, _, _, version, manifest = measured[0]
        compare(arguments, pathlib.Path(name), samples, manifest, version)


def compare(arguments, folder, samples, manifest, version):
    """Runs with and without kills, in turns."""
    kills, lost, used, starts = arguments.kills, [], [], []
    for number in range(arguments.rounds):
        calm, rough = Clock(), Clock()
        calm_folder, rough_folder = folder / f"calm-{number}", folder / f"rough-{number}"
        calm_folder.mkdir()
        rough_folder.mkdir()
        _, _, _, seconds = undisturbed(arguments.binary, calm_folder, manifest, calm)
        total, starting, said = killed(arguments.binary, rough_folder, manifest, seconds, kills, rough)
        if said["version"] != version:
            raise SystemExit(f"another version after {kills} kills: {said['version']}, not {version}")
        lost.append((total - seconds) / kills)
        used.append((rough.seconds - calm.seconds) / kills)
        starts.append(starting / kills)
    print(
        f"{samples:,} samples, {kills} kills, {arguments.rounds} times: a kill costs {statistics.median(lost):.2f} s "
        f"({min(lost):.2f} to {max(lost):.2f}), of which {statistics.median(starts):.2f} s to start the server, and "
        f"{statistics.median(used):.2f} s of processor time ({min(used):.2f} to {max(used):.2f}); same version"
    )


if __name__ == "__main__":
    main()

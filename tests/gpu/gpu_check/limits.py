"""What happens when the device has too little memory, or the provider's library is missing."""

from __future__ import annotations

from . import device, runtime
from .bench import Bench, last_line
from .features import LEAST_COSINE, lowest_cosine
from .outcome import Outcome

# Room for the activations of a few images beside the weights, and a batch that cannot fit into it.
ROOM = 512 * device.MIB
BATCH = 1024
BAD_INPUT = 2


def out_of_memory(bench: Bench) -> list[Outcome]:
    """The batch is halved until it fits, and features stay what they are."""
    settings = bench.settings
    if not settings.on_device:
        return [Outcome.skipped("out of memory", "no device")]
    manifest = bench.manifest(min(settings.compared, len(bench.files)))
    limit = settings.model.stat().st_size + ROOM
    flags = ("--gpu-memory-limit", limit, "--batch-size", BATCH)
    run = bench.extract("limited", manifest, *flags, provider=settings.provider)
    expected = bench.extract("cpu-f32", manifest, provider="cpu").features
    lowest, batch = lowest_cosine(run.features, expected), run.said.get("batch_size")
    holds = isinstance(batch, int) and batch < BATCH and lowest >= LEAST_COSINE["f32"]
    detail = f"batch {BATCH} became {batch} within {limit // device.MIB} MiB; lowest cosine {lowest:.7f}"
    return [Outcome.of("out of memory", holds, detail, batch_size=batch, limit=limit, lowest_cosine=lowest)]


def refusal(bench: Bench) -> list[Outcome]:
    """Asked for a device with a library that has no provider for it: an error that says so, and no features."""
    settings = bench.settings
    provider = settings.provider if settings.on_device else "cuda"
    libraries = runtime.without_providers(bench.runtime, bench.folder / "without-providers")
    out = bench.folder / "refused.npy"
    arguments = ("extract", bench.manifest(2), "--model", settings.model, "--out", out)
    done = bench.start(*arguments, "--execution-provider", provider, libraries=libraries)
    said = last_line(done.stderr)
    names_it = {"cuda": "cuda", "tensorrt": "tensorrt"}[provider] in said.lower()
    holds = done.returncode == BAD_INPUT and names_it and not out.exists()
    detail = f"exit code {done.returncode}: {said[:160]}"
    return [Outcome.of("missing provider library", holds, detail, exit_code=done.returncode, message=said)]

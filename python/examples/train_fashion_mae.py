"""Train small masked autoencoders on Fashion-MNIST with a curriculum, and beside it three controls at equal steps.

Four arms draw from the same 60,000 images: `curriculum` (easy first), `uniform`, and two controls that have the
curriculum's temperatures and weights but give them to other images, `reversed` and `shuffled`. What a curriculum owes
to seeing few images at first shows in all of them but `uniform`; what it owes to the order, in the first alone.

    apt-get install dataset-fashion-mnist        # or --data FOLDER with the four IDX files
    python train_fashion_mae.py --results runs.json
    python train_fashion_mae.py --results gpu.json --device cuda --steps 20000 --batch-size 256

Difficulties come from a server, with the features of its embedded model: a local one, or that of --server. Finished
runs are kept in --results, and the same command goes on with those that are missing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from curriculum import Curriculum, Server, ingest
from curriculum.torch import CurriculumBatchSampler
from fashion_mae import arms
from fashion_mae.data import DEFAULT_FOLDER, Split, encode_png, load
from fashion_mae.results import Results

NAME = "fashion-mae"
IMAGES_PER_MESSAGE = 1_000
# Training images that evaluation compares the test images with.
BANK = 10_000

# Order of the draws. `uniform` takes the iterations behind the end of warm-up.
ORDERS = {"curriculum": "easy_first", "uniform": "easy_first", "reversed": "reversed", "shuffled": "shuffled"}


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    train, test = load(options.data, "train", options.limit), load(options.data, "test", options.limit)
    data = train, Split(train.images[:BANK], train.labels[:BANK]), test
    results = Results(options.results, setting(options))
    with published(options, train) as curriculum:
        for seed in range(options.seeds):
            for arm in arms.ARMS:
                if not results.has(arm, seed):
                    batches = draw(curriculum, arm, seed, options)
                    run = arms.train(batches, arm, seed, options.steps, data, options.device)
                    results.add(run)
                    print(time.strftime("%H:%M:%S"), run, flush=True)
    print(results.table())


@contextmanager
def published(options: argparse.Namespace, train: Split) -> Iterator[Curriculum]:
    """The curriculum of these images, which the server makes now unless it has it."""
    if options.server is not None:
        yield submit(options.server, options, train)
        return
    with Server.local(options.cache) as server:
        yield submit(server.address, options, train)


def submit(address: str, options: argparse.Namespace, train: Split) -> Curriculum:
    """Pushes the images, waits for their difficulties, and pins the version."""
    samples = len(train.labels)
    push = f"{NAME}-{samples}"
    source = ingest.push_images(address, push, png_batches(train), samples, fingerprint=push, progress=True)
    job = ingest.submit(
        address,
        NAME,
        source,
        initial_effective_fraction=options.start,
        warmup_iterations=options.warmup,
    )
    version = ingest.wait(address, job, progress=True)
    return Curriculum.connect(address, NAME, version, expected_samples=samples)


def png_batches(train: Split) -> Iterator[tuple[list[str], None, list[bytes]]]:
    """Ids, no labels, and image files; the position in the dataset is the id."""
    for start in range(0, len(train.labels), IMAGES_PER_MESSAGE):
        images = [encode_png(image) for image in train.images[start : start + IMAGES_PER_MESSAGE].numpy()]
        yield [f"{start + offset:05d}" for offset in range(len(images))], None, images


def draw(curriculum: Curriculum, arm: str, seed: int, options: argparse.Namespace) -> Iterator[list[int]]:
    """The batches of an arm, iteration after iteration."""
    sampler = CurriculumBatchSampler(
        curriculum,
        options.batch_size,
        rank=0,
        world_size=1,
        seed=seed,
        order=ORDERS[arm],
        order_seed=seed,
        # One epoch, long enough for the arm that begins at the end of warm-up.
        iterations_per_epoch=options.warmup + options.steps,
    )
    if arm == "uniform":
        sampler.set_iteration(options.warmup)
    return iter(sampler)


def setting(options: argparse.Namespace) -> dict[str, object]:
    """What runs of one table have in common."""
    names = ("steps", "batch_size", "warmup", "start", "limit")
    return {name: getattr(options, name) for name in names}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options; warm-up defaults to half of the steps."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder of the IDX files")
    parser.add_argument("--results", type=Path, required=True, help="JSON file of finished runs")
    parser.add_argument("--server", help="HOST:PORT; without it a local server starts")
    parser.add_argument("--cache", type=Path, help="folder of the local server; without it that of `Server.local`")
    parser.add_argument("--steps", type=int, default=1_000, help="of each run")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--warmup", type=int, help="iterations until draws are uniform; without it half of the steps")
    parser.add_argument("--start", type=float, default=0.2, help="effective fraction at iteration 0")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each arm")
    parser.add_argument("--limit", type=int, help="use this many images only")
    parser.add_argument("--device", type=torch.device, default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of PyTorch on the CPU")
    options = parser.parse_args(arguments)
    options.warmup = options.steps // 2 if options.warmup is None else options.warmup
    return options


if __name__ == "__main__":
    main()

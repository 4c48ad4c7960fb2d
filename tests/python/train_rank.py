"""One rank of a training job, for torchrun: `train_rank.py ADDRESS FOLDER STEPS GLOBAL_BATCH [DIES_AFTER]`.

Draws with a sampler, lets all ranks meet at every step, and writes its indices, one line a step, to FOLDER/rank-R. Rank
0 saves the loader's state after every step, and begins with it if it is there. At step DIES_AFTER all ranks kill
themselves, without a word.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torchdata.stateful_dataloader import StatefulDataLoader

from curriculum import Curriculum
from curriculum.torch import CurriculumBatchSampler

STEP_SECONDS = 0.015


def main(address: str, folder: Path, steps: int, global_batch: int, dies_after: int) -> None:
    """Trains up to `steps`, over all runs."""
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    curriculum = Curriculum.connect(address, "clouds")
    dataset = range(curriculum.samples)
    # Little is fetched ahead, so that a server that is away is missed at once.
    sampler = CurriculumBatchSampler(
        curriculum, global_batch // ranks, dataset=dataset, seed=11, iterations_per_epoch=64, prefetch=2
    )
    loader = StatefulDataLoader(dataset, batch_sampler=sampler)
    state = folder / "state.json"
    step, epoch = 0, 0
    if state.exists():
        saved = json.loads(state.read_text())
        step, epoch = saved["step"], saved["epoch"]
        loader.load_state_dict(saved["loader"])
    waited = 0.0
    with (folder / f"rank-{rank}").open("a", buffering=1) as log:
        while step < steps:
            sampler.set_epoch(epoch)
            batches = iter(loader)
            while step < steps:
                started = time.monotonic()
                batch = next(batches, None)
                waited = max(waited, time.monotonic() - started)
                if batch is None:
                    break
                log.write(f"{step} {' '.join(map(str, batch.tolist()))}\n")
                time.sleep(STEP_SECONDS)
                step += 1
                dist.all_reduce(torch.zeros(1))
                if rank == 0:
                    save(state, {"step": step, "epoch": epoch, "loader": loader.state_dict()})
                dist.barrier()
                if step == dies_after:
                    os.kill(os.getpid(), signal.SIGKILL)
            epoch += 1
    (folder / f"waited-{rank}").write_text(str(waited))
    dist.destroy_process_group()


def save(file: Path, content: object) -> None:
    """All of it or nothing."""
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(content))
    partial.replace(file)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int([*sys.argv, "0"][5]))

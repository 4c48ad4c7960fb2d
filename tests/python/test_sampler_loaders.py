"""Samplers under the loaders that people use: resumed in the middle, with workers, in other frameworks."""

from __future__ import annotations

import warnings
from itertools import chain, islice
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from curriculum import Curriculum
from curriculum.torch import CurriculumBatchSampler, CurriculumSampler

BATCH, EPOCH = 20, 30


def expected(curriculum: Curriculum, first: int, count: int) -> list[list[int]]:
    """The sequence."""
    rows: list[list[int]] = curriculum.sample_indices(first, BATCH, iterations=count, seed=4).tolist()
    return rows


def loader(curriculum: Curriculum, workers: int, single: bool = False, **options: int) -> StatefulDataLoader:
    """Over a dataset whose items are their indices."""
    if single:
        one = CurriculumSampler(curriculum, BATCH, seed=4, iterations_per_epoch=EPOCH)
        return StatefulDataLoader(range(5000), batch_size=BATCH, sampler=one, num_workers=workers, **options)
    sampler = CurriculumBatchSampler(curriculum, BATCH, seed=4, iterations_per_epoch=EPOCH)
    return StatefulDataLoader(range(5000), batch_sampler=sampler, num_workers=workers, **options)


@pytest.mark.parametrize(("workers", "single"), [(0, False), (0, True), (2, False), (2, True)])
@pytest.mark.parametrize("taken", [7, EPOCH])
def test_a_stateful_loader_resumes_exactly(curriculum: Curriculum, workers: int, single: bool, taken: int) -> None:
    first = loader(curriculum, workers, single)
    sequence = [batch.tolist() for batch in first]
    iterator = iter(first)
    sequence += [next(iterator).tolist() for _ in range(taken)]
    state = first.state_dict()
    # Batches that workers have taken ahead are not part of the state.
    resumed = loader(curriculum, workers, single)
    resumed.load_state_dict(state)
    for _ in range(3):
        sequence += [batch.tolist() for batch in resumed]
    # A loader whose epoch was over when it was saved ends it, and goes on with the next.
    assert sequence == expected(curriculum, 0, len(sequence))
    assert len(sequence) >= 4 * EPOCH


def test_a_state_every_few_steps(curriculum: Curriculum) -> None:
    first = loader(curriculum, 2, snapshot_every_n_steps=5)
    taken = [batch.tolist() for batch in islice(first, 13)]
    resumed = loader(curriculum, 2, snapshot_every_n_steps=5)
    resumed.load_state_dict(first.state_dict())
    assert taken + [batch.tolist() for batch in resumed] == expected(curriculum, 0, EPOCH)


def test_a_plain_loader_resumes_by_step(curriculum: Curriculum) -> None:
    sampler = CurriculumBatchSampler(curriculum, BATCH, seed=4, iterations_per_epoch=EPOCH)
    plain = DataLoader(range(5000), batch_sampler=sampler, num_workers=2)
    taken = [batch.tolist() for batch in islice(plain, 11)]
    sampler.set_iteration(11)
    assert taken + [batch.tolist() for batch in plain] == expected(curriculum, 0, EPOCH)


def test_accelerate(curriculum: Curriculum) -> None:
    sampler = CurriculumBatchSampler(curriculum, BATCH, seed=4, iterations_per_epoch=EPOCH)
    prepared = Accelerator(cpu=True).prepare(DataLoader(range(5000), batch_sampler=sampler))
    taken = []
    for epoch in range(2):
        prepared.set_epoch(epoch)
        taken += [batch.tolist() for batch in prepared]
    assert taken == expected(curriculum, 0, 2 * EPOCH)
    # Resumed at a step: the loader has an epoch of its own, which it hands on.
    sampler.set_iteration(EPOCH + 12)
    prepared.set_epoch(sampler.epoch)
    assert [batch.tolist() for batch in prepared] == expected(curriculum, EPOCH + 12, EPOCH - 12)


def test_accelerate_splits_global_batches_among_processes(curriculum: Curriculum) -> None:
    """What `prepare` wraps a batch sampler in, on each process, with split_batches."""
    shards = []
    for process in range(4):
        sampler = CurriculumBatchSampler(curriculum, BATCH, rank=0, world_size=1, seed=4, iterations_per_epoch=EPOCH)
        shards.append(list(BatchSamplerShard(sampler, 4, process, split_batches=True)))
    together = [list(chain.from_iterable(parts)) for parts in zip(*shards, strict=True)]
    assert together == expected(curriculum, 0, EPOCH)


def test_accelerate_divides_batches_of_a_rank_again(curriculum: Curriculum) -> None:
    """Why the guide warns of `prepare` with a sampler that knows its rank."""
    drawn = []
    for process in range(2):
        sampler = CurriculumBatchSampler(
            curriculum, BATCH // 2, rank=process, world_size=2, seed=4, iterations_per_epoch=EPOCH
        )
        drawn += list(BatchSamplerShard(sampler, 2, process))
    assert len(drawn) == EPOCH  # Of 2 x EPOCH.


@pytest.mark.filterwarnings("default")
def test_lightning(curriculum: Curriculum, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lightning

    class Recorder(lightning.LightningModule):
        """Records its batches, and saves a checkpoint in the middle of the second epoch."""

        def __init__(self, checkpoint: Path) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)
            self.checkpoint = checkpoint
            self.batches: list[list[int]] = []

        def training_step(self, batch: torch.Tensor, number: int) -> torch.Tensor:
            self.batches.append(batch.tolist())
            return self.layer(batch.float()[:, None]).square().mean()

        def on_train_batch_end(self, *_: object) -> None:
            if self.global_step == EPOCH + 12:
                self.trainer.save_checkpoint(self.checkpoint)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.0)

    def train(data: DataLoader[int], checkpoint: Path) -> list[list[int]]:
        module = Recorder(checkpoint)
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=2,
            use_distributed_sampler=False,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, data, ckpt_path=checkpoint if checkpoint.exists() else None, weights_only=False)
        return module.batches

    stateful, plain = tmp_path / "stateful.ckpt", tmp_path / "plain.ckpt"
    assert train(loader(curriculum, 0), stateful) == expected(curriculum, 0, 2 * EPOCH)
    assert train(loader(curriculum, 0), stateful) == expected(curriculum, EPOCH + 12, EPOCH - 12)
    # A plain loader has no state to save, but its sampler can be told where the checkpoint was.
    sampler = CurriculumBatchSampler(curriculum, BATCH, seed=4, iterations_per_epoch=EPOCH)
    assert train(DataLoader(range(5000), batch_sampler=sampler), plain) == expected(curriculum, 0, 2 * EPOCH)
    sampler.set_iteration(EPOCH + 12)
    resumed = train(DataLoader(range(5000), batch_sampler=sampler), plain)
    assert resumed == expected(curriculum, EPOCH + 12, EPOCH - 12)

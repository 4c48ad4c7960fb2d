"""Samplers for PyTorch's DataLoader, shaped like `torch.utils.data.distributed.DistributedSampler`.

- `CurriculumBatchSampler`: `DataLoader(dataset, batch_sampler=...)`, a batch per iteration.
- `CurriculumSampler`: `DataLoader(dataset, batch_size=..., sampler=...)`, the same draws one by one.
"""

from curriculum.torch.sampler import CurriculumBatchSampler, CurriculumSampler

__all__ = ["CurriculumBatchSampler", "CurriculumSampler"]

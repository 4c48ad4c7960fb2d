"""Train the demo DINO model on Fashion-MNIST: self-distillation, no labels, CPU only.

Follows Caron et al. 2021 (arXiv:2104.14294). Labels serve only to log a k-NN score.

Usage: python train.py --out teacher.pt [--epochs N] [--minutes M] [--dataset DIR]
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import augment
from data import DEFAULT_DATASET, Split, load_split, to_model_input
from evaluate import Extractor, knn_from_images, network, raw_pixels
from model import DinoHead, VisionTransformer

LOG = logging.getLogger("train")


@dataclass(frozen=True)
class Config:
    """Settings of a run; "of the run" marks a share of its progress, 0 to 1."""

    epochs: int
    minutes: float  # the schedules end by then even if `epochs` is not reached
    seed: int
    threads: int
    batch: int = 128  # images
    learning_rate: float = 1e-3  # peak
    final_learning_rate: float = 1e-5
    learning_rate_warmup: float = 0.08  # of the run
    weight_decay: float = 0.04
    final_weight_decay: float = 0.2
    gradient_clip: float = 3.0  # global norm
    momentum: float = 0.99  # of the teacher; rises to 1
    prototypes: int = 1024
    freeze_prototypes: float = 0.05  # of the run
    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    final_teacher_temperature: float = 0.05
    teacher_temperature_warmup: float = 0.3  # of the run
    center_momentum: float = 0.9
    koleo_weight: float = 0.1
    log_steps: int = 50  # between two lines of log
    knn_steps: int = 468  # an epoch
    knn_train: int = 5_000  # images in the k-NN bank of the running score
    knn_test: int = 1_000


def cosine(start: float, end: float, progress: float) -> float:
    """Half a cosine from `start` at progress 0 to `end` at progress 1."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def learning_rate(config: Config, progress: float) -> float:
    """Linear warm-up to the peak, then a cosine to the final rate."""
    warmup = config.learning_rate_warmup
    if progress < warmup:
        return config.learning_rate * progress / warmup
    rest = (progress - warmup) / (1 - warmup)
    return cosine(config.learning_rate, config.final_learning_rate, rest)


def teacher_temperature(config: Config, progress: float) -> float:
    """Linear warm-up to the final temperature, then constant."""
    share = min(1.0, progress / config.teacher_temperature_warmup)
    rise = config.final_teacher_temperature - config.teacher_temperature
    return config.teacher_temperature + share * rise


class DinoLoss(nn.Module):
    """Cross-entropy between the teacher's centred, sharpened output and the student's."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("center", torch.zeros(config.prototypes))

    def forward(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """Mean over image and pairs of different views.

        `student` (V, B, K) holds logits of all views, the global ones first; `teacher` (G, B, K)
        holds those of the G global views; `temperature` is the teacher's.
        """
        views, global_views = len(student), len(teacher)
        targets = ((teacher - self.center) / temperature).softmax(dim=-1)
        log_probabilities = (student / self.config.student_temperature).log_softmax(dim=-1)
        # Sum over every (teacher, student) pair, less the pairs that share a view.
        every_pair = (targets.sum(0) * log_probabilities.sum(0)).sum(-1)
        same_view = (targets * log_probabilities[:global_views]).sum(-1).sum(0)
        self._update_center(teacher)
        return (same_view - every_pair).mean() / (global_views * (views - 1))

    @torch.no_grad()
    def _update_center(self, teacher: torch.Tensor) -> None:
        self.center.lerp_(teacher.mean(dim=(0, 1)), 1 - self.config.center_momentum)


def koleo(features: torch.Tensor) -> torch.Tensor:
    """Kozachenko-Leonenko regulariser (DINOv2, arXiv:2304.07193) of one view's features (B, D).

    Minus the mean log distance to the nearest neighbour on the unit sphere: it keeps features
    from falling into the few dimensions that satisfy the distillation loss.
    """
    unit = F.normalize(features, dim=-1)
    with torch.no_grad():
        nearest = (unit @ unit.T).fill_diagonal_(-1.0).argmax(dim=1)
    return -F.pairwise_distance(unit, unit[nearest]).log().mean()


class Dino(nn.Module):
    """A network of the pair: the backbone and its head."""

    def __init__(self, prototypes: int) -> None:
        super().__init__()
        self.backbone = VisionTransformer()
        self.head = DinoHead(prototypes)

    def forward(self, views: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (n, D) and logits (n, K) of all views; each batch has its own crop size."""
        # The head and the loss stay in f32; the backbone is cheap enough only in bf16.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = torch.cat([self.backbone(view) for view in views]).float()
        return features, self.head(features)


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Exponential moving average of the student's parameters."""
    for average, current in zip(teacher.parameters(), student.parameters(), strict=True):
        average.lerp_(current, 1 - momentum)


def make_optimizer(student: nn.Module) -> torch.optim.AdamW:
    """AdamW with weight decay on weights only; `train_step` sets its rates at each step."""
    # Linear weights have two axes, the patch embedding's four; the rest is biases, norms and the
    # class embedding.
    weights = [p for p in student.parameters() if p.ndim in (2, 4)]
    others = [p for p in student.parameters() if p.ndim not in (2, 4)]
    return torch.optim.AdamW([{"params": weights, "decayed": True}, {"params": others, "decayed": False}], fused=True)


def log_knn(config: Config, name: str, extractor: Extractor, train_set: Split, test_set: Split) -> None:
    """Log the k-NN accuracy on the first images of either split."""
    bank = Split(*(part[: config.knn_train] for part in train_set))
    queries = Split(*(part[: config.knn_test] for part in test_set))
    accuracy = knn_from_images(extractor, bank, queries)
    LOG.info("k-NN %d -> %d  %s: %.4f", config.knn_train, config.knn_test, name, accuracy)


def train_step(
    config: Config,
    student: Dino,
    teacher: Dino,
    loss_function: DinoLoss,
    optimizer: torch.optim.AdamW,
    images: torch.Tensor,
    progress: float,
) -> float:
    """One update on grey images (B, 1, 28, 28); returns the loss."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, progress)
        decay = cosine(config.weight_decay, config.final_weight_decay, progress)
        group["weight_decay"] = decay if group["decayed"] else 0.0

    global_views = to_model_input(augment.crops(images, augment.GLOBAL_VIEW))
    local_views = to_model_input(augment.crops(images, augment.LOCAL_VIEW))
    with torch.no_grad():
        _, teacher_logits = teacher([global_views])
    features, student_logits = student([global_views, local_views])
    loss = loss_function(
        student_logits.unflatten(0, (-1, len(images))),
        teacher_logits.unflatten(0, (-1, len(images))),
        teacher_temperature(config, progress),
    )
    for view in features[: len(global_views)].split(len(images)):
        loss = loss + config.koleo_weight * koleo(view)
    if not math.isfinite(loss.item()):
        raise RuntimeError(f"the loss is {loss.item()} at progress {progress:.3f}")

    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if progress < config.freeze_prototypes:
        student.head.prototypes.grad = None
    nn.utils.clip_grad_norm_(student.parameters(), config.gradient_clip)
    optimizer.step()
    update_teacher(teacher, student, cosine(config.momentum, 1.0, progress))
    return loss.item()


def train(config: Config, train_set: Split, test_set: Split, out: Path) -> None:
    """Run the whole training, writing the teacher's backbone to `out` after each epoch."""
    torch.manual_seed(config.seed)
    student = Dino(config.prototypes)
    teacher = copy.deepcopy(student).requires_grad_(False)
    log_knn(config, "raw pixels", raw_pixels, train_set, test_set)
    log_knn(config, "untrained", network(teacher.backbone), train_set, test_set)

    loss_function = DinoLoss(config)
    optimizer = make_optimizer(student)
    steps_per_epoch = len(train_set.images) // config.batch
    total_steps = config.epochs * steps_per_epoch
    started = time.monotonic()
    step, progress, losses = 0, 0.0, []
    while progress < 1.0:
        for indices in torch.randperm(len(train_set.images)).split(config.batch)[:steps_per_epoch]:
            minutes = (time.monotonic() - started) / 60
            progress = max(step / total_steps, minutes / config.minutes)
            if progress >= 1.0:
                break
            loss = train_step(
                config,
                student,
                teacher,
                loss_function,
                optimizer,
                train_set.images[indices],
                progress,
            )
            losses.append(loss)
            step += 1
            if step % config.log_steps == 0:
                LOG.info(
                    "step %d  epoch %.2f  progress %.3f  minutes %.1f  loss %.4f",
                    step,
                    step / steps_per_epoch,
                    progress,
                    minutes,
                    sum(losses) / len(losses),
                )
                losses.clear()
            if step % config.knn_steps == 0:
                log_knn(config, "teacher", network(teacher.backbone), train_set, test_set)
        torch.save(teacher.backbone.state_dict(), out)
    LOG.info("finished: %d steps, %.1f minutes", step, (time.monotonic() - started) / 60)
    log_knn(config, "teacher", network(teacher.backbone), train_set, test_set)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, default=DEFAULT_DATASET, help="folder of IDX files")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=60.0, help="time budget")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")

    torch.set_num_threads(options.threads)
    config = Config(options.epochs, options.minutes, options.seed, options.threads)
    LOG.info("torch %s  %s", torch.__version__, config)
    train_set, test_set = load_split(options.dataset, "train"), load_split(options.dataset, "t10k")
    train(config, train_set, test_set, options.out)


if __name__ == "__main__":
    main()

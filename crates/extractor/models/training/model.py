"""The vision transformer and the DINO projection head (Caron et al. 2021, arXiv:2104.14294)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

IMAGE_SIZE = 28  # pixels, full-size input
PATCH_SIZE = 4  # pixels
WIDTH = 128  # feature dimension D
DEPTH = 4  # transformer blocks
HEADS = 4  # attention heads per block
MLP_RATIO = 4  # hidden width of a block's MLP over WIDTH


class Block(nn.Module):
    """Pre-norm transformer block: (B, T, D) to (B, T, D)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.projection = nn.Linear(WIDTH, WIDTH)
        self.norm_mlp = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, MLP_RATIO * WIDTH), nn.GELU(), nn.Linear(MLP_RATIO * WIDTH, WIDTH))

    def attention(self, tokens: torch.Tensor) -> torch.Tensor:
        """Multi-head self-attention over (B, T, D)."""
        # (B, T, 3D) -> (3, B, heads, T, D / heads)
        qkv = self.qkv(tokens).unflatten(-1, (3, HEADS, WIDTH // HEADS)).permute(2, 0, 3, 1, 4)
        # Written out because PyTorch's fused CPU kernel is several times slower in bf16 backward.
        scores = qkv[0] * (WIDTH // HEADS) ** -0.5 @ qkv[1].transpose(-2, -1)
        mixed = scores.softmax(dim=-1) @ qkv[2]
        return self.projection(mixed.transpose(1, 2).flatten(2))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attention(self.norm_attention(tokens))
        return tokens + self.mlp(self.norm_mlp(tokens))


def position_embedding(grid: int) -> torch.Tensor:
    """Fixed 2-D sine and cosine embedding (1, grid², D) of the cells of a square.

    Coordinates run over [0, IMAGE_SIZE / PATCH_SIZE] whatever the grid, so the embedding of a
    smaller crop is the full-size one resampled. Half of D codes the column, half the row.
    """
    cell = (torch.arange(grid) + 0.5) * (IMAGE_SIZE / PATCH_SIZE / grid)
    frequency = 100.0 ** (-torch.arange(WIDTH // 4) / (WIDTH // 4))  # radians per cell
    angle = cell[:, None] * frequency
    line = torch.cat([angle.sin(), angle.cos()], dim=1)  # (grid, D / 2)
    columns = line[None].expand(grid, -1, -1)
    rows = line[:, None].expand(-1, grid, -1)
    return torch.cat([columns, rows], dim=2).flatten(0, 1)[None]


class VisionTransformer(nn.Module):
    """Images (B, 3, S, S), S a multiple of the patch size, to class tokens (B, D)."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = IMAGE_SIZE // PATCH_SIZE
        self.patch_embedding = nn.Conv2d(3, WIDTH, PATCH_SIZE, stride=PATCH_SIZE)
        # The class token and its position are only ever used as a sum, so they are one vector.
        self.class_embedding = nn.Parameter(torch.empty(1, 1, WIDTH))
        self.register_buffer("position", position_embedding(self.grid))
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(WIDTH)
        nn.init.trunc_normal_(self.class_embedding, std=0.02)
        self.apply(_init_linear)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embedding(images).flatten(2).transpose(1, 2)
        grid = images.shape[-1] // PATCH_SIZE
        patches = patches + (self.position if grid == self.grid else position_embedding(grid))
        tokens = torch.cat([self.class_embedding.expand(images.shape[0], -1, -1), patches], dim=1)
        return self.norm(self.blocks(tokens)[:, 0])


class DinoHead(nn.Module):
    """Class tokens (B, D) to prototype logits (B, K): an MLP, then cosines with K unit vectors."""

    HIDDEN = 512
    BOTTLENECK = 128

    def __init__(self, prototypes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, self.HIDDEN),
            nn.GELU(),
            nn.Linear(self.HIDDEN, self.HIDDEN),
            nn.GELU(),
            nn.Linear(self.HIDDEN, self.BOTTLENECK),
        )
        self.prototypes = nn.Parameter(torch.randn(prototypes, self.BOTTLENECK))
        self.apply(_init_linear)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        bottleneck = F.normalize(self.mlp(features), dim=-1)
        return F.linear(bottleneck, F.normalize(self.prototypes, dim=-1))


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)

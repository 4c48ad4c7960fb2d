"""A small masked autoencoder (He et al. 2022, arXiv:2111.06377) for 28x28 grey images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

IMAGE_SIZE = 28
PATCH_SIZE = 4
GRID = IMAGE_SIZE // PATCH_SIZE
PATCHES = GRID * GRID
PATCH_PIXELS = PATCH_SIZE * PATCH_SIZE
MASK_RATIO = 0.75


def to_patches(images: torch.Tensor) -> torch.Tensor:
    """Images (B, 28, 28) as patches (B, 49, 16), row by row."""
    cells = images.unflatten(2, (GRID, PATCH_SIZE)).unflatten(1, (GRID, PATCH_SIZE))
    return cells.transpose(2, 3).flatten(3).flatten(1, 2)


def position_embedding(width: int) -> torch.Tensor:
    """Fixed sines and cosines (49, width) of each patch's column and row."""
    frequency = 100.0 ** (-torch.arange(width // 4) / (width // 4))
    angle = torch.arange(GRID)[:, None] * frequency
    line = torch.cat([angle.sin(), angle.cos()], dim=1)
    columns, rows = line[None].expand(GRID, -1, -1), line[:, None].expand(-1, GRID, -1)
    return torch.cat([columns, rows], dim=2).flatten(0, 1)


class Block(nn.Module):
    """Pre-norm transformer block: (B, T, D) to (B, T, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def attention(self, tokens: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.projection(mixed.transpose(1, 2).flatten(2))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attention(self.norm_attention(tokens))
        return tokens + self.mlp(self.norm_mlp(tokens))


class MaskedAutoencoder(nn.Module):
    """Encoder over the visible quarter of the patches, and a lighter decoder that paints the rest."""

    def __init__(self, width: int = 64, depth: int = 4, decoder_width: int = 32, decoder_depth: int = 1) -> None:
        super().__init__()
        self.embed = nn.Linear(PATCH_PIXELS, width)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder = nn.Sequential(*(Block(width, 4) for _ in range(depth)))
        self.encoder_norm = nn.LayerNorm(width)
        self.to_decoder = nn.Linear(width, decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_width))
        self.decoder = nn.Sequential(*(Block(decoder_width, 4) for _ in range(decoder_depth)))
        self.decoder_norm = nn.LayerNorm(decoder_width)
        self.paint = nn.Linear(decoder_width, PATCH_PIXELS)
        self.register_buffer("position", position_embedding(width), persistent=False)
        self.register_buffer("decoder_position", position_embedding(decoder_width), persistent=False)
        self.apply(_initialise)
        for token in (self.class_token, self.mask_token):
            nn.init.normal_(token, std=0.02)

    def encode(self, tokens: torch.Tensor) -> torch.Tensor:
        """Patch tokens (B, T, D), with their positions, to (B, 1 + T, D), the class token first."""
        first = self.class_token.expand(len(tokens), -1, -1)
        return self.encoder_norm(self.encoder(torch.cat([first, tokens], dim=1)))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 28, 28), nothing masked, to the mean of their patch tokens (B, D)."""
        return self.encode(self.embed(to_patches(images)) + self.position)[:, 1:].mean(dim=1)

    def forward(self, images: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Mean squared error over the masked patches' pixels. `noise` (B, 49) decides what is masked."""
        patches = to_patches(images)
        order = noise.argsort(dim=1)
        visible = order[:, : round(PATCHES * (1 - MASK_RATIO))]
        tokens = self.encode(_take(self.embed(patches) + self.position, visible))
        painted = self._decode(tokens, order)
        masked = order[:, visible.shape[1] :]
        return F.mse_loss(_take(painted, masked), _take(patches, masked))

    def _decode(self, tokens: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        tokens = self.to_decoder(tokens)
        visible = tokens.shape[1] - 1
        hidden = self.mask_token.expand(len(tokens), PATCHES - visible, -1)
        # Back from the shuffled order to the image's.
        patches = _take(torch.cat([tokens[:, 1:], hidden], dim=1), order.argsort(dim=1)) + self.decoder_position
        decoded = self.decoder_norm(self.decoder(torch.cat([tokens[:, :1], patches], dim=1)))
        return self.paint(decoded[:, 1:])


def _take(tokens: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Tokens (B, T, D) at `index` (B, S): (B, S, D)."""
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)

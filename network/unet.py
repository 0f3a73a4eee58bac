"""A compact U-Net denoiser that a CPU can train and run."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Block(nn.Module):
    """Two 3x3 convolutions with a residual path around the second."""

    def __init__(self, incoming: int, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(incoming, channels, 3, padding=1)
        self.refine = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        entered = functional.relu(self.enter(features), inplace=True)
        return entered + functional.relu(self.refine(entered), inplace=True)


class UNet(nn.Module):
    """Residual U-Net (Ronneberger 2015, arXiv 1505.04597) on real and imaginary part, told the noise level.

    The image enters as 2x2 pixel blocks (pixel unshuffle), so the finest features live at half resolution; further steps are
    strided 2x2 convolutions, back by transposed ones. No normalisation layers: intensity is kept, and bf16 runs without
    detours: the features have the type of the weights, the residual is added in the type of the image. Starts as the identity:
    the last convolution is zero.

    Args:
        channels: feature channels of each resolution, finest (half the image's) first.
    """

    def __init__(self, channels: tuple[int, ...] = (64, 96, 128)) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.multiple = 2 ** len(channels)
        self.encode = nn.ModuleList([_Block(9, channels[0])])
        self.encode.extend(_Block(width, width) for width in channels[1:])
        pairs = list(pairwise(channels))
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in pairs)
        self.decode = nn.ModuleList(_Block(2 * width, width) for width in channels[:-1])
        self.last = nn.Conv2d(channels[0], 8, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, image_bkyx: Tensor, level_b: Tensor) -> Tensor:
        """Denoise.

        Args:
            image_bkyx: real and imaginary part (k = 2), any size; padded to the network's multiple inside.
            level_b: log noise level of each slice (:func:`smug_recon.network.conditioning.log_level`).
        """
        rows, columns = image_bkyx.shape[-2], image_bkyx.shape[-1]
        padding = [0, -columns % self.multiple, 0, -rows % self.multiple]
        blocks = functional.pixel_unshuffle(functional.pad(image_bkyx, padding, mode="replicate"), 2)
        level = (
            level_b[:, None, None, None].to(blocks.dtype).expand(-1, 1, blocks.shape[-2], blocks.shape[-1])
        )
        features = torch.cat([blocks, level], 1).to(self.last.weight.dtype)
        features = features.contiguous(memory_format=torch.channels_last)
        kept: list[Tensor] = []
        for index, encode in enumerate(self.encode):
            features = encode(features)
            kept.append(features)
            for place, down in enumerate(self.down):
                if place == index:
                    features = down(features)
        features = kept[-1]
        depth = len(self.up)
        for step in range(depth):
            for place, (up, decode) in enumerate(zip(self.up, self.decode)):  # noqa: B905 - TorchScript knows no strict
                if place == depth - 1 - step:
                    features = decode(torch.cat([up(features), kept[place]], 1))
        residual = functional.pixel_shuffle(self.last(features).to(image_bkyx.dtype), 2)
        return image_bkyx + residual[..., :rows, :columns]

"""DIDN, the denoiser of the SMUG paper (Yu 2019, Deep Iterative Down-Up CNN, DOI 10.1109/CVPRW.2019.00262).

The attribute names are those of the reference implementation (sigmanet, SMUG), so that its checkpoints load by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from smug_recon.errors import ModelError


def _conv3(incoming: int, outgoing: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(incoming, outgoing, 3, stride=stride, padding=1)


class _DownUp(nn.Module):
    """One down-up block: two halvings with doubled channels, two pixel shuffles back, residual on every scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.relu2 = _conv3(width, width), nn.PReLU()
        self.conv3, self.relu4 = _conv3(width, width), nn.PReLU()
        self.conv5, self.relu6 = _conv3(width, 2 * width, stride=2), nn.PReLU()
        self.conv7, self.relu8 = _conv3(2 * width, 2 * width), nn.PReLU()
        self.conv9, self.relu10 = _conv3(2 * width, 4 * width, stride=2), nn.PReLU()
        self.conv11, self.relu12 = _conv3(4 * width, 4 * width), nn.PReLU()
        self.conv13, self.up14 = nn.Conv2d(4 * width, 8 * width, 1), nn.PixelShuffle(2)
        self.conv15 = nn.Conv2d(4 * width, 2 * width, 1)
        self.conv16, self.relu17 = _conv3(2 * width, 2 * width), nn.PReLU()
        self.conv18, self.up19 = nn.Conv2d(2 * width, 4 * width, 1), nn.PixelShuffle(2)
        self.conv20 = nn.Conv2d(2 * width, width, 1)
        self.conv21, self.relu22 = _conv3(width, width), nn.PReLU()
        self.conv23, self.relu24 = _conv3(width, width), nn.PReLU()
        self.conv25 = _conv3(width, width)

    def forward(self, features: Tensor) -> Tensor:
        fine = features + self.relu4(self.conv3(self.relu2(self.conv1(features))))
        entered = self.relu6(self.conv5(fine))
        middle = entered + self.relu8(self.conv7(entered))
        entered = self.relu10(self.conv9(middle))
        coarse = entered + self.relu12(self.conv11(entered))
        merged = self.conv15(torch.cat([self.up14(self.conv13(coarse)), middle], 1))
        merged = merged + self.relu17(self.conv16(merged))
        merged = self.conv20(torch.cat([self.up19(self.conv18(merged)), fine], 1))
        merged = merged + self.relu24(self.conv23(self.relu22(self.conv21(merged))))
        return self.conv25(merged) + features


class Didn(nn.Module):
    """The reference denoiser: 5,021,761 parameters with the defaults (R = 3), 3,372,984 with R = 2.

    Args:
        blocks: R, the number of down-up blocks. width: channels at full width.
    """

    def __init__(self, blocks: int = 3, width: int = 64) -> None:
        super().__init__()
        self.conv_input, self.relu1 = _conv3(2, width), nn.PReLU()
        self.conv_down, self.relu2 = _conv3(width, width, stride=2), nn.PReLU()
        self.recursive = nn.ModuleList(_DownUp(width) for _ in range(blocks))
        self.conv_mid, self.relu3 = nn.Conv2d(width * blocks, width, 1), nn.PReLU()
        self.conv_mid2, self.relu4 = _conv3(width, width), nn.PReLU()
        self.subpixel = nn.PixelShuffle(2)
        self.conv_output = _conv3(width // 4, 2)

    def forward(self, image_bkyx: Tensor, level_b: Tensor | None = None) -> Tensor:
        """Denoise real and imaginary part (k = 2), any size: zero-padded on both sides to multiples of 8.

        ``level_b`` (the noise level) is taken for the common face of all denoisers and not used: DIDN is blind to it. The
        features have the type of the weights (bfloat16 after ``to(torch.bfloat16)``), the residual is added in that of the image;
        channels_last is 1.3 times faster on a CPU.
        """
        rows, columns = image_bkyx.shape[-2], image_bkyx.shape[-1]
        more_y, more_x = -rows % 8, -columns % 8
        top, left = more_y // 2, more_x // 2
        padded = functional.pad(image_bkyx, [left, more_x - left, top, more_y - top])
        features = padded.to(self.conv_input.weight.dtype).contiguous(memory_format=torch.channels_last)
        features = self.relu2(self.conv_down(self.relu1(self.conv_input(features))))
        outputs: list[Tensor] = []
        for block in self.recursive:
            features = block(features)
            outputs.append(features)
        features = self.relu3(self.conv_mid(torch.cat(outputs, 1)))
        features = features + self.relu4(self.conv_mid2(features))
        denoised = padded + self.conv_output(self.subpixel(features)).to(padded.dtype)
        return denoised[..., top : top + rows, left : left + columns]


def split_reference_checkpoint(
    checkpoint: Mapping[str, Any],
) -> tuple[dict[str, Tensor], dict[str, Tensor] | None]:
    """Return the state dicts (denoiser, weight encoder or None) found in a checkpoint of the SMUG authors' code.

    Three layouts are known: a plain DIDN state dict, the same saved under ``DataParallel`` (``module.`` before each name), and
    the combined Weighted SMUG dict with ``netG`` and ``weight_encoder``.

    Raises:
        ModelError: none of these.
    """

    def plain(state: Mapping[str, Any]) -> dict[str, Tensor]:
        return {name.removeprefix("module."): value for name, value in state.items()}

    if "netG" in checkpoint:
        encoder = checkpoint.get("weight_encoder")
        return plain(checkpoint["netG"]), plain(encoder) if encoder is not None else None
    state = plain(checkpoint)
    if "conv_input.weight" not in state:
        raise ModelError(
            f"a checkpoint with the keys {sorted(checkpoint)[:4]} ...",
            "a DIDN state dict, or a dict with netG and weight_encoder",
            "give a checkpoint of the SMUG reference code",
        )
    return state, None


def load_reference(checkpoint: Mapping[str, Any]) -> tuple[Didn, dict[str, Tensor] | None]:
    """Build the :class:`Didn` that a reference checkpoint holds; also return its weight encoder's state dict, if any."""
    state, encoder = split_reference_checkpoint(checkpoint)
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("recursive."))
    denoiser = Didn(blocks, state["conv_input.weight"].shape[0])
    denoiser.load_state_dict(state)
    return denoiser, encoder

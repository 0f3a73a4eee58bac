"""Denoisers in bfloat16: features in the type of the weights, the image itself in full precision."""

from __future__ import annotations

import copy

import pytest
import torch

from smug_recon.network import Didn, UNet

DENOISERS = {"didn": lambda: Didn(1, 8), "unet": lambda: UNet((8, 12))}


@pytest.mark.parametrize("name", DENOISERS)
def test_bfloat16_changes_the_correction_by_its_rounding_only(name: str) -> None:
    torch.manual_seed(0)
    full = DENOISERS[name]().eval()
    for weight in full.parameters():
        torch.nn.init.normal_(weight, std=0.05) if weight.dim() == 4 else None
    half = copy.deepcopy(full).to(torch.bfloat16)
    image, level = torch.randn(1, 2, 17, 23), torch.zeros(1)
    with torch.no_grad():
        expected, found = full(image, level), half(image, level)
    assert found.dtype == torch.float32
    correction = (expected - image).norm()
    assert correction > 0
    assert (found - expected).norm() < 0.02 * correction


@pytest.mark.parametrize("name", DENOISERS)
def test_no_correction_leaves_every_bit_of_the_image(name: str) -> None:
    denoiser = DENOISERS[name]().to(torch.bfloat16)
    last = denoiser.last if name == "unet" else denoiser.conv_output
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    image = torch.randn(1, 2, 16, 16)
    assert torch.equal(denoiser(image, torch.zeros(1)), image)

"""SMUG as its authors compute it against ours: the same weights in fp32 and bf16, antithetic pairs, the shipped model."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from smug_recon.benchmarks.authors import AuthorsSmug, PlainDidn
from smug_recon.benchmarks.interleave import interleave
from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.record import Result, Row, speed_row
from smug_recon.benchmarks.scene import inputs, relative, shipped_model
from smug_recon.benchmarks.sizes import Size
from smug_recon.network import Didn, Smug
from smug_recon.network.unrolling import Unrolled
from smug_recon.physics import fft_centred

SEED = 1
WEIGHTS = Path(__file__).parent / "models" / "smug.safetensors"
REFERENCE_COPIES = 40
AUTHORS = "authors' algorithm"
FP32, BF16, ANTITHETIC, SHIPPED = "fp32", "bf16", "antithetic n=2, bf16", "shipped model"


@torch.inference_mode()
def run(size: Size) -> Result:
    """Measure at a size; DIDN has untrained weights of a fixed seed, the accuracy of bf16 is that of trained ones."""
    kspace_bcyx, maps_bcyx, mask_by = inputs(size)
    torch.manual_seed(0)
    denoiser = Didn(size.blocks, size.width).eval()
    plain = PlainDidn(size.blocks, size.width).eval()
    plain.load_state_dict(denoiser.state_dict())
    authors = AuthorsSmug(plain, size.steps)
    ours = unrolled(denoiser, size.steps, "independent")
    half = unrolled(copy.deepcopy(denoiser).to(torch.bfloat16), size.steps, "independent")
    pairs = unrolled(copy.deepcopy(denoiser).to(torch.bfloat16), size.steps, "antithetic")
    flat_bcyx = fft_centred(kspace_bcyx, [-1])
    mask_byx = mask_by[:, :, None].expand(-1, -1, maps_bcyx.shape[-1]).contiguous()
    model, count = shipped_model(), size.copies

    def of(network: Unrolled, copies: int) -> Callable[[], Tensor]:
        return lambda: network(kspace_bcyx, maps_bcyx, mask_by, SEED, copies)[0]

    cases: dict[str, Callable[[], Tensor]] = {
        AUTHORS: lambda: authors(flat_bcyx, maps_bcyx, mask_byx, SEED, count),
        FP32: of(ours, count),
        BF16: of(half, count),
        ANTITHETIC: of(pairs, 2),
        SHIPPED: lambda: model.forward(kspace_bcyx, maps_bcyx, mask_by, 0, 2)[0],
    }
    for name in list(cases)[1:]:
        cases[name]()  # the first call compiles; the baseline has nothing to compile
    times, found = interleave(cases, size.rounds, warm_up=0)
    truth = found[AUTHORS]
    same = {"relative difference": relative(found[FP32], truth)}
    rounding = {"relative difference": relative(found[BF16], truth), **of_bf16(size)}
    distance = of_antithetic(size)
    rows = [
        speed_row(f"same weights, n={count}, fp32", times, AUTHORS, FP32, 2.5, accuracy=same),
        speed_row(f"same weights, n={count}, bf16 denoiser", times, AUTHORS, BF16, 7.0, accuracy=rounding),
        speed_row("same weights, antithetic n=2, bf16", times, AUTHORS, ANTITHETIC, 25.0, accuracy=distance),
        speed_row("shipped compact model, default settings", times, AUTHORS, SHIPPED, 40.0),
        distance_row(distance),
    ]
    about = (
        f"Authors' algorithm: {size.steps} steps, {count} copies as one batch, DIDN R={size.blocks} of {size.width} "
        f"channels, {size.matrix_yx[0]}x{size.matrix_yx[1]}, {size.coils} coils."
    )
    return Result("smug", size.name, about, machine(), rows)


def unrolled(denoiser: torch.nn.Module, steps: int, sampling: str) -> Unrolled:
    """Return our SMUG with the authors' lambda."""
    return Smug(denoiser, 0.01, sampling, steps=steps, lam=1.0, iterations=20, tolerance=1e-5).eval()


def trained() -> Unrolled:
    """Return the trained compact SMUG of benchmarks/models."""
    from smug_recon.training.weights import load_network

    return load_network(WEIGHTS)[0]


def of_bf16(size: Size) -> dict[str, float]:
    """Return what bf16 costs a trained network: PSNR of fp32 minus that of bf16, against the fully sampled truth, in dB."""
    from smug_recon.benchmarks.scene import scan_of

    kspace_bcyx, maps_bcyx, mask_by = inputs(size)
    truth_yx = torch.from_numpy(scan_of(size.matrix_yx, size.coils, size.acs).truth.whitened_syx[0]).abs()
    network: Any = trained()
    full = network(kspace_bcyx, maps_bcyx, mask_by, SEED, 2)[0][0]
    network.regulariser.denoiser.to(torch.bfloat16)
    half = network(kspace_bcyx, maps_bcyx, mask_by, SEED, 2)[0][0]
    return {
        "PSNR loss of a trained network, dB": scaled_psnr_db(full, truth_yx) - scaled_psnr_db(half, truth_yx)
    }


def scaled_psnr_db(image_yx: Tensor, truth_yx: Tensor) -> float:
    """Return the PSNR of the magnitude after the best single scale, in dB."""
    magnitude_yx = image_yx.abs()
    magnitude_yx = magnitude_yx * (magnitude_yx * truth_yx).sum() / magnitude_yx.square().sum()
    return float(10 * torch.log10(truth_yx.max() ** 2 / (magnitude_yx - truth_yx).square().mean()))


def of_antithetic(size: Size) -> dict[str, float]:
    """Return how far n=2 antithetic (bf16) and the authors' n independent copies are from the true smoothed image.

    The true one is that of 40 antithetic copies in fp32; all by the same trained network.
    """
    arguments = inputs(size)
    network = trained()
    regulariser: Any = network.regulariser
    regulariser.antithetic = True
    truth = network(*arguments, SEED + 1, REFERENCE_COPIES)[0]
    regulariser.antithetic = False
    independent = network(*arguments, SEED, size.copies)[0]
    regulariser.antithetic = True
    regulariser.denoiser.to(torch.bfloat16)
    antithetic = network(*arguments, SEED, 2)[0]
    return {
        "distance to the true smoothed image": relative(antithetic, truth),
        f"that of n={size.copies} independent copies": relative(independent, truth),
    }


def distance_row(distance: dict[str, float]) -> Row:
    """Return the row of the accuracy of two antithetic copies: how many times closer they are."""
    own, theirs = distance.values()
    closer = theirs / own
    return Row(
        "antithetic n=2, bf16: distance to the true smoothed image",
        "times closer",
        closer,
        closer,
        closer,
        1.0,
    )
